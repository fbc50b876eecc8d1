"""Does the canary fail more requests than the baseline? A sequential e-value, valid at every look.

Owns DECISION's "Errors (every fleet)": episodes, the allowed ratio, the onset mixture, surges shared by the
arms, over-dispersion. One instance is one source; no comparison mixes sources. Refuses to decide.

Requests of one replica fail together, so the unit is the *episode*: after a counted error its replica is
dead for 5 s; its arrivals and errors then are ignored. A counter's block is short, and its order unknown: a
block with e errors of n requests is one episode after (n + 1) / (e + 1) requests, the expected place of its
first error, and a block that ends while its replica is dead is ignored whole. One replica counted together
with others (a gateway's Service) is dead together with them, which costs evidence on both arms alike.

Counters of a gateway know a request when it *ended*, so at a step's start fast errors lead slow successes;
the episode bounds what that can do to one or two of them.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from guard.core.binomial import binomial_upper_tail, fisher_p
from guard.core.samples import Arm

Floats = npt.NDArray[np.float64]

BIN_SECONDS = 10.0
DEAD_SECONDS = 5.0
PRIOR_EPISODES = 0.5  # a
PRIOR_ARRIVALS = 100.0  # n0
OMEGAS = (3.0, 9.0)
FIRST_ONSET = 0.6  # pi_0
INCIDENTS_PER_SECOND = 1 / 3600  # of one replica, not caused by the change
SURGE_BINS = (1, 2, 3, 12, 48)
DISPERSION_BLOCK_BINS = 6
SILENT_BINS = 6
SILENT_P = 0.01


@dataclass(frozen=True)
class Observed:
    """Requests of one replica that became known together, at `at`."""

    at: float
    arm: Arm
    replica: str
    requests: int
    bad: int


@dataclass
class _Bin:
    """One arm in one bin of 10 s."""

    arrivals: float = 0.0  # armed
    episodes: int = 0
    raw_arrivals: int = 0
    raw_errors: int = 0
    dead_seconds: float = 0.0


@dataclass
class _State:
    """Everything that a restarted guard needs; plain numbers only."""

    start: float
    planned_bins: int
    next_bin: int = 0
    pending: list[tuple[float, str, str, int, int]] = field(default_factory=list)
    dead_until: dict[str, float] = field(default_factory=dict)
    last_seen: dict[str, float] = field(default_factory=dict)  # canary replicas
    baseline_arrivals: float = 0.0  # N
    baseline_episodes: int = 0  # K
    baseline_recent: list[tuple[int, int]] = field(default_factory=list)  # raw arrivals, errors per bin
    waiting_bin: tuple[float, int] | None = None  # canary's last bin, judged one bin later
    canary_arrivals: list[float] = field(default_factory=list)  # N_c before each onset
    canary_episodes: list[int] = field(default_factory=list)  # K_c before each onset
    total_arrivals: float = 0.0
    total_episodes: int = 0
    silent_arrivals: float = 0.0  # in bins without any baseline beside them, this step
    silent_episodes: int = 0
    block: dict[str, tuple[float, int]] = field(default_factory=dict)  # open 60 s block per baseline replica
    sums: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # yy, yn, nn, n over closed blocks


class ErrorEvidence:
    """The evidence of one source, from `start` on; earlier observations of the baseline are its history."""

    def __init__(self, start: float, planned_seconds: float = 1800.0) -> None:
        self._s = _State(start, max(1, math.ceil(planned_seconds / BIN_SECONDS)))
        self._value: float | None = None
        self._found: dict[tuple[float, float], float | None] = {}

    def add(self, observed: Observed) -> None:
        """Late observations count in the oldest bin that is still open."""
        if observed.requests > 0:
            row = (observed.at, str(observed.arm), observed.replica, observed.requests, observed.bad)
            self._s.pending.append(row)

    def start_step(self) -> None:
        """Forgets what only this step's reader asks: bins in which the baseline was silent."""
        self._s.silent_arrivals, self._s.silent_episodes = 0.0, 0

    def evidence(self, now: float) -> float:
        """The e-value at `now`: mean over effects of the mixture over onsets. 1 without canary traffic."""
        s = self._s
        while s.start + (s.next_bin + 1) * BIN_SECONDS <= now:
            self._close_bin(s.start + (s.next_bin + 1) * BIN_SECONDS)
            s.next_bin += 1
            self._value, self._found = None, {}
        if self._value is None:  # it changes with a bin only, and is asked for at every tick
            self._value = self._mixture()
        return self._value

    def _mixture(self) -> float:
        if not self._s.canary_arrivals:
            return 1.0
        prior = self._prior()
        bets = [prior @ np.exp(self._log_bets(omega)[: len(prior)]) for omega in OMEGAS]
        return min(float(np.mean(bets) + 1 - prior.sum()), self._most())

    def _prior(self) -> Floats:
        """Of the onsets so far; what is left to later ones stands at 1."""
        s = self._s
        later = (1 - FIRST_ONSET) / max(1, s.planned_bins - 1)
        prior = np.full(min(len(s.canary_arrivals), s.planned_bins), later)
        prior[0] = FIRST_ONSET
        return prior

    def _most(self) -> float:
        """1/(2p), p of the exact test on the same counts since the onset that explains them best.

        The prior takes the baseline for nearly free of errors until it was seen for minutes. Where every
        tenth request of both arms fails and there is no history, that alone rolled back good canaries.
        """
        s, prior = self._s, self._prior()
        best = int(np.argmax(np.log(prior) + self._log_bets(max(OMEGAS))[: len(prior)]))
        episodes = s.total_episodes - s.canary_episodes[best]
        arrivals = max(episodes, round(s.total_arrivals - s.canary_arrivals[best]))
        known = max(s.baseline_episodes, round(s.baseline_arrivals))
        if not episodes:
            return math.inf
        p_value = fisher_p(episodes, arrivals, s.baseline_episodes, known, self.allowed_ratio)
        return 0.5 / max(p_value, 1e-300)

    @property
    def allowed_ratio(self) -> float:
        """The ratio of error rates that is still no harm: r(K)."""
        return 1.1 + 0.4 * self._s.baseline_episodes / (self._s.baseline_episodes + 100)

    @property
    def baseline_rate(self) -> float:
        """Episodes per armed arrival, as the prior and all that was seen say."""
        return (self._s.baseline_episodes + PRIOR_EPISODES) / (self._s.baseline_arrivals + PRIOR_ARRIVALS)

    @property
    def unexplained_in_silence(self) -> bool:
        """The canary failed while the baseline was not seen, more than the baseline's history explains."""
        s = self._s
        wide = s.baseline_episodes + PRIOR_EPISODES + math.sqrt(s.baseline_episodes + PRIOR_EPISODES)
        rate = min(1.0, 2 * wide / (s.baseline_arrivals + PRIOR_ARRIVALS))
        arrivals = max(round(s.silent_arrivals), s.silent_episodes)
        return s.silent_episodes > 0 and binomial_upper_tail(s.silent_episodes, arrivals, rate) <= SILENT_P

    def smallest_ratio_found(self, threshold: float, power: float = 0.8) -> float | None:
        """The canary's error ratio, from the start on, that would have reached `threshold` by now."""
        asked = threshold, power
        if asked not in self._found:
            self._found[asked] = self._smallest_ratio(threshold, power)
        return self._found[asked]

    def _smallest_ratio(self, threshold: float, power: float) -> float | None:
        arrivals = round(self._s.total_arrivals)
        wanted = math.log(2 * threshold / FIRST_ONSET)  # the larger effect alone, of two
        needed = bisect_left(
            range(arrivals + 1), wanted, key=lambda k: float(self._log_bet(k, arrivals, max(OMEGAS)))
        )
        if needed > arrivals:
            return None
        found = bisect_left(range(1000), power, key=lambda p: binomial_upper_tail(needed, arrivals, p / 1000))
        return found / 1000

    def _log_bets(self, omega: float) -> Any:
        """L for every onset so far."""
        s = self._s
        k = s.total_episodes - np.asarray(s.canary_episodes, dtype=float)
        n = s.total_arrivals - np.asarray(s.canary_arrivals)
        return np.minimum(700.0, self._log_bet(k, n, omega))

    def _log_bet(self, k: Any, n: Any, omega: float) -> Any:
        s, r = self._s, self.allowed_ratio
        base = PRIOR_ARRIVALS + s.baseline_arrivals
        total = PRIOR_EPISODES + s.baseline_episodes + k
        grown = np.log((base + omega * r * n) / (base + r * n))
        return (k * math.log(omega) - total * grown) / self._dispersion()

    def _dispersion(self) -> float:
        """D: how much more than independent the baseline replicas' episodes vary from minute to minute."""
        yy, yn, nn, n = self._s.sums
        p = (self._s.baseline_episodes + 0.5) / (self._s.baseline_arrivals + 100)
        return max(1.0, (yy - 2 * p * yn + p * p * nn + 20) / (p * n + 20))

    def _close_bin(self, end: float) -> None:
        s = self._s
        due = sorted(row for row in s.pending if row[0] < end)
        s.pending = [row for row in s.pending if row[0] >= end]
        arms = {Arm.BASELINE: _Bin(), Arm.CANARY: _Bin()}
        for at, arm, replica, requests, bad in due:
            self._count(arms[Arm(arm)], Observed(at, Arm(arm), replica, requests, bad))
        baseline = arms[Arm.BASELINE]
        s.baseline_recent = [
            *s.baseline_recent[-max(SURGE_BINS) :],
            (baseline.raw_arrivals, baseline.raw_errors),
        ]
        # The canary's bin is judged one bin later: a shared incident may reach the baseline after it.
        if s.waiting_bin is not None:
            self._judge_canary(*s.waiting_bin)
        s.baseline_arrivals += baseline.arrivals
        s.baseline_episodes += baseline.episodes
        s.waiting_bin = self._canary_bin(arms[Arm.CANARY], end)
        if (s.next_bin + 1) % DISPERSION_BLOCK_BINS == 0:
            self._close_dispersion_blocks()

    def _count(self, into: _Bin, seen: Observed) -> None:
        s, key = self._s, f"{seen.arm}/{seen.replica}"
        bad = min(seen.bad, seen.requests)
        into.raw_arrivals += seen.requests
        into.raw_errors += bad
        if seen.arm is Arm.CANARY:
            s.last_seen[seen.replica] = seen.at
        if seen.at < s.dead_until.get(key, -math.inf):
            return
        armed = (seen.requests + 1) / (bad + 1) if bad else float(seen.requests)
        into.arrivals += armed
        if bad:
            into.episodes += 1
            into.dead_seconds += DEAD_SECONDS
            s.dead_until[key] = seen.at + DEAD_SECONDS
        if seen.arm is Arm.BASELINE:
            n, y = s.block.get(seen.replica, (0.0, 0))
            s.block[seen.replica] = (n + armed, y + bool(bad))

    def _canary_bin(self, canary: _Bin, end: float) -> tuple[float, int]:
        """Exposure and episodes of a bin; the exposure holds an allowance for incidents of a replica."""
        if not canary.raw_arrivals:
            return 0.0, 0
        replicas = sum(at > end - 60.0 for at in self._s.last_seen.values()) or 1
        armed_seconds = max(0.0, replicas * BIN_SECONDS - canary.dead_seconds)
        per_second = min(1.0, canary.raw_arrivals / BIN_SECONDS / replicas)
        incidents = INCIDENTS_PER_SECOND * armed_seconds * per_second
        return canary.arrivals + incidents / (1.1 * self.baseline_rate), canary.episodes

    def _judge_canary(self, arrivals: float, episodes: int) -> None:
        s = self._s
        if not arrivals:
            return
        if not any(n for n, _ in s.baseline_recent[-SILENT_BINS:]):
            s.silent_arrivals += arrivals
            s.silent_episodes += episodes
            return
        s.canary_arrivals.append(s.total_arrivals)
        s.canary_episodes.append(s.total_episodes)
        if not self._surge():
            s.total_arrivals += arrivals
            s.total_episodes += episodes

    def _surge(self) -> bool:
        """Is the baseline itself failing more than it used to, over any of five windows up to now?"""
        s = self._s
        k = s.baseline_episodes + PRIOR_EPISODES
        usual = 2 * (k + 0.84 * math.sqrt(k)) / (s.baseline_arrivals + PRIOR_ARRIVALS)
        for w in SURGE_BINS:
            window = s.baseline_recent[-(w + 1) :]
            n, y = sum(n for n, _ in window), sum(y for _, y in window)
            if y >= (2 if w <= 2 else 3) and (y - 0.7 * math.sqrt(y)) / n > usual:
                return True
        return False

    def _close_dispersion_blocks(self) -> None:
        s = self._s
        yy, yn, nn, total = s.sums
        for n, y in s.block.values():
            yy, yn, nn, total = yy + y * y, yn + y * n, nn + n * n, total + n
        s.block, s.sums = {}, (yy, yn, nn, total)

    def state(self) -> dict[str, Any]:
        return asdict(self._s)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(0.0)
        self._s = _State(**state)
        self._s.pending = [(a, b, c, d, e) for a, b, c, d, e in state["pending"]]
        return self
