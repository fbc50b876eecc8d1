"""Is the canary slower than the baseline, in a fleet of 8 or more baseline replicas? A sequential e-value.

Owns DESIGN 5.2 and 5.3: on every block, bets with three thetas that the canary's replicas rank high in three
scores (`replica_blocks`, `rank_bet`); over blocks, the mixture over onsets of the sums since each onset, each
divided by how little that many blocks say more than one (`tempering`). Drift and incidents that both arms
share cancel in the ranks. Refuses to decide, and to serve smaller fleets, where ranks say little.

Honest limits. A canary with one replica says at most ln 14 a block, and with long blocks that takes minutes.
The bet is exact for exchangeable replicas: a canary whose replica carries more load, or stands on slower
hardware, ranks high without the change being slow; tempering alone stands against that.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np

from guard.core.observations import Floats, Latencies
from guard.core.onset_mixture import OnsetMixture
from guard.core.rank_bet import log_bets, normal_scores
from guard.core.replica_blocks import QUARTER_SECONDS, QUARTERS, SCORES, Block, ReplicaBlocks
from guard.core.tempering import Tempering

Signal = Literal["ttft", "itl"]
MARGINS = {"ttft": 1.10, "itl": 1.05}
THETAS = (0.5, 1.5, 3.0)
FIRST_ONSET = 0.5  # pi_0
COMPONENTS = SCORES * len(THETAS)
# Rows of the onsets: their time, h, and what the effect's two sums and the components' logs were before them.
_AT, _LENGTH, _EFFECT, _LOGS = 0, 1, slice(2, 4), slice(4, 4 + COMPONENTS)
_ROWS = 4 + COMPONENTS
LEANING = 2.0  # arbitrary: above it the effect is that since the likeliest onset


class LatencyRanks:
    """Feed `add`, ask `evidence` as often as you like."""

    def __init__(self, signal: Signal, start: float, planned_seconds: float = 1800.0) -> None:
        self._signal, self._start = signal, start
        self._planned = max(1, math.ceil(planned_seconds / QUARTER_SECONDS))  # quarters
        self._blocks = ReplicaBlocks(start, MARGINS[signal])
        self._tempering = {quarters: Tempering(SCORES) for quarters in (1, QUARTERS)}
        self._quarters = QUARTERS  # of the latest block
        self._mixture = OnsetMixture(FIRST_ONSET, self._planned, COMPONENTS)
        self._log = np.zeros(COMPONENTS)  # L_t
        self._onsets = np.zeros((_ROWS, self._planned))
        self._opened = 0  # onsets
        self._effect = np.zeros(2)  # sums of precision x log-ratio, and of precision
        self._spread = np.zeros(2)  # of a block's baseline means: sum of squares, degrees of freedom
        self._compared: dict[tuple[int, int], int] = {}  # (replicas, canary's): blocks
        self._e = 1.0

    def start_step(self, now: float, canary_replicas: int, baseline_replicas: int) -> None:
        """Replicas that should be seen from now on."""
        self._blocks.start_step(canary_replicas, baseline_replicas)

    def add(self, seen: Latencies) -> None:
        """Values that became known, of warm replicas; with at < start of the baseline alone."""
        self._blocks.add(seen)

    def evidence(self, now: float) -> float:
        """The e-value at `now`, after all blocks that ended; 1 while nothing could be said."""
        bet = False
        for block in self._blocks.close(now):
            if block.chosen and block.index >= 0:
                self._bet(block)
                bet = True
            self._learn(block)
        if bet:
            self._e = self._mixture.evidence_of(self._log_bets())
        return self._e

    @property
    def margin(self) -> float:
        """The ratio that is still no harm."""
        return MARGINS[self._signal]

    @property
    def loads(self) -> tuple[float, float] | None:
        """Mean requests in flight that this step's requests met: canary, baseline; None where too few say."""
        return self._blocks.loads

    @property
    def load_differs(self) -> bool:
        """Loads are so far apart in this step that live traffic shows neither a slowdown nor its absence."""
        return self._blocks.load_differs

    @property
    def effect(self) -> tuple[float, float, float] | None:
        """Ratio of geometric means since the likeliest onset, and its 95 % interval; None where not compared.

        The interval holds the scatter of replicas, tempered. The margin is not taken off the ratio.
        """
        if not self._effect[1]:
            return None
        onset = self._likeliest_onset()
        if self._onsets[_EFFECT, onset][1] >= self._effect[1]:  # both arms were not seen since
            onset = 0
        weighted, precision = self._effect - self._onsets[_EFFECT, onset]
        middle = weighted / precision
        half = 1.96 * math.sqrt(self._divisors()[0, onset] / precision)
        return math.exp(middle), math.exp(middle - half), math.exp(middle + half)

    @property
    def effect_since(self) -> float:
        """The likeliest onset: the first step, while there is no evidence of any."""
        return float(self._onsets[_AT, self._likeliest_onset()]) if self._opened else self._start

    @property
    def compared(self) -> list[tuple[int, int, int]]:
        """Replicas, those of the canary among them, and how many blocks had so many; for `power`."""
        return [(m, k, n) for (m, k), n in sorted(self._compared.items())]

    @property
    def spread(self) -> float:
        """Standard deviation of the baseline replicas' mean ln X in a block; 0 where unknown."""
        squares, freedom = self._spread.tolist()
        return math.sqrt(squares / freedom) if freedom else 0.0

    @property
    def divisor(self) -> float:
        """D of all blocks so far, for the score of means."""
        return float(self._divisors()[0, 0]) if self._opened else 1.0

    def _bet(self, block: Block) -> None:
        self._quarters = block.quarters
        self._open_onsets(block)
        self._onsets[_LENGTH, : self._opened] += 1
        z = normal_scores(block.scores)
        self._log += log_bets(z, block.canary, THETAS).reshape(-1)
        sizes = (block.canary.size, int(block.canary.sum()))
        if 0 < sizes[1] < sizes[0]:
            self._compared[sizes] = self._compared.get(sizes, 0) + 1
        self._measure(block)

    def _open_onsets(self, block: Block) -> None:
        """A fault may begin with any quarter; those of one block cannot be told apart."""
        first = block.index * block.quarters
        opened = slice(self._opened, max(self._opened, min(first + block.quarters, self._planned)))
        self._onsets[_AT, opened] = self._start + first * QUARTER_SECONDS
        self._onsets[_EFFECT, opened] = self._effect[:, None]
        self._onsets[_LOGS, opened] = self._log[:, None]
        self._opened = opened.stop

    def _measure(self, block: Block) -> None:
        """The block's log-ratio, weighted by what the scatter of replicas lets it say."""
        ours, theirs = block.log_means[block.canary], block.log_means[~block.canary]
        squares, freedom = self._spread.tolist()
        if len(ours) and len(theirs) and squares > 0:
            precision = freedom / squares / (1 / len(ours) + 1 / len(theirs))
            self._effect += precision * np.array([ours.mean() - theirs.mean(), 1.0])

    def _learn(self, block: Block) -> None:
        """What the baseline's replicas do among themselves."""
        theirs = ~block.canary
        if theirs.sum() < 2:
            return
        z = normal_scores(block.scores[:, theirs])
        self._tempering[block.quarters].add(block.replicas[theirs], z)
        if block.chosen:
            means = block.log_means[theirs]
            self._spread += (float(((means - means.mean()) ** 2).sum()), float(len(means) - 1))

    def _divisors(self) -> Floats:
        """D(t - s); shape (scores, onsets)."""
        return self._tempering[self._quarters].divisors(self._onsets[_LENGTH, : self._opened])

    def _log_bets(self) -> Floats:
        """(L_t - L_s) / D(t - s); shape (components, onsets)."""
        divisors = np.repeat(self._divisors(), len(THETAS), axis=0)
        bets: Floats = (self._log[:, None] - self._onsets[_LOGS, : self._opened]) / divisors
        return bets

    def _likeliest_onset(self) -> int:
        """The first, while there is no evidence of any."""
        if self._e <= LEANING:
            return 0
        logs = self._log_bets().max(axis=0)
        logs[0] += math.log(FIRST_ONSET / (1 - FIRST_ONSET) * max(1, self._planned - 1))
        return int(np.argmax(logs))

    def state(self) -> dict[str, Any]:
        return {
            "signal": self._signal,
            "start": self._start,
            "planned": self._planned,
            "blocks": self._blocks.state(),
            "tempering": {str(q): tempering.state() for q, tempering in self._tempering.items()},
            "quarters": self._quarters,
            "log": self._log.tolist(),
            "onsets": self._onsets[:, : self._opened].tolist(),
            "effect": self._effect.tolist(),
            "spread": self._spread.tolist(),
            "compared": [list(row) for row in self.compared],
            "e": self._e,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(state["signal"], state["start"], state["planned"] * QUARTER_SECONDS)
        self._blocks = ReplicaBlocks.from_state(state["blocks"])
        self._tempering = {int(q): Tempering.from_state(t) for q, t in state["tempering"].items()}
        self._quarters, self._e = state["quarters"], state["e"]
        self._log, self._effect = np.array(state["log"]), np.array(state["effect"])
        self._spread = np.array(state["spread"])
        self._compared = {(m, k): n for m, k, n in state["compared"]}
        self._opened = len(state["onsets"][0])
        self._onsets[:, : self._opened] = np.array(state["onsets"]).reshape(_ROWS, -1)
        return self
