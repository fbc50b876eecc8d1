"""Does the canary fail more requests than the baseline? A sequential e-value, valid at every look.

Owns when DECISION's "Errors (every fleet)" counts what: bins of 10 s, the baseline's history of 600 s, the
canary's bin that is judged one bin later (a shared incident may reach the baseline a moment after it), bins
that are left out. Which sources' requests it is given is its caller's affair. Refuses to decide.

What an error is comes from `episodes` and `counter_episodes`; trouble that the arms share from `surge`; how
far requests are from independent from `dispersion`; what counts say from `error_bets`. Keeps sums, and the
requests of bins that are still open. Late ones count in the oldest open bin.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from operator import add
from typing import Any, Self

import numpy as np

from guard.core.binomial import fisher_p
from guard.core.counter_episodes import CounterEpisodes, Observed
from guard.core.dispersion import BLOCK_BINS, Dispersion
from guard.core.episodes import ArmBin, Episodes
from guard.core.error_bets import BaselineErrors
from guard.core.observations import Floats, Marks
from guard.core.onset_mixture import OnsetMixture
from guard.core.open_marks import OpenMarks
from guard.core.samples import Arm
from guard.core.surge import Surge

__all__ = ["ErrorEvidence", "Observed"]

BIN_SECONDS = 10.0
HISTORY_BINS = 60
FIRST_ONSET = 0.6  # pi_0
SILENT_BINS = 6
UNLIKE_P = 0.05
_MOST_IDLE_BINS = 1000  # a clock that leaps costs no more empty bins than these


@dataclass(frozen=True)
class _Canary:
    """Its sums; `exposure` is its armed arrivals with the allowance for incidents."""

    episodes: int = 0
    exposure: float = 0.0
    arrivals: float = 0.0

    def __add__(self, other: "_Canary") -> "_Canary":
        return _Canary(*map(add, vars(self).values(), vars(other).values()))


class ErrorEvidence:
    """The evidence of one source, from `start` on; what the baseline did before it is its history."""

    def __init__(self, start: float, planned_seconds: float = 1800.0) -> None:
        self._start = start
        self._next_bin = -HISTORY_BINS
        self._arrivals, self._failures = OpenMarks(), OpenMarks()
        self._observed: list[Observed] = []
        self._singles, self._counters = Episodes(), CounterEpisodes()
        self._surge, self._dispersion = Surge(), Dispersion()
        self._baseline = BaselineErrors()
        self._mixture = OnsetMixture(FIRST_ONSET, math.ceil(planned_seconds / BIN_SECONDS))
        self._before = np.zeros((2, self._mixture.planned_bins))  # canary's episodes, exposure at each onset
        self._onsets = 0
        self._waiting: _Canary | None = None  # the last bin
        self._canary = _Canary()
        self._silent = _Canary()  # in bins without any baseline beside them, this step
        self._value: float | None = 1.0
        self._found: dict[tuple[float, float], float | None] = {}

    def add_arrivals(self, arrivals: Marks) -> None:
        """Requests seen one by one, when each arrived."""
        self._arrivals.add(arrivals)

    def add_failures(self, failures: Marks) -> None:
        """Requests that turned bad, each at min(its outcome, its arrival + 60 s)."""
        self._failures.add(failures)

    def add(self, observed: Observed) -> None:
        """What a counter saw."""
        if observed.requests > 0 and math.isfinite(observed.at):
            self._observed.append(observed)

    def start_step(self) -> None:
        """Forgets what only this step's reader asks: bins in which the baseline was silent."""
        self._silent = _Canary()

    def evidence(self, now: float) -> float:
        """The e-value at `now`: mean over effects of the mixture over onsets. 1 without canary traffic."""
        ended = self._ended_bins(now)
        if self._next_bin < ended and not (self._arrivals or self._failures or self._observed):
            self._next_bin = max(self._next_bin, ended - _MOST_IDLE_BINS)
        while self._next_bin < ended:
            self._close_bin()
            self._next_bin += 1
            self._value, self._found = None, {}
        if self._value is None:  # it changes with a bin only, and is asked for at every tick
            self._value = self._mixed()
        return self._value

    def evidence_ahead(self, now: float) -> float:
        """What the e-value will be when all that was seen by `now` is judged, if the baseline stays as it is.

        The canary's last 10 to 20 s are not in `evidence` yet. No e-value: a reason to wait, and no more.
        """
        ahead = ErrorEvidence.from_state(self.state())
        return ahead.evidence(now + 2 * BIN_SECONDS)

    def _ended_bins(self, now: float) -> int:
        """How many have ended by `now`; as many as compare so, whatever division rounds to."""
        if not math.isfinite(now):
            return self._next_bin
        bins = math.floor((now - self._start) / BIN_SECONDS) + 1
        while self._start + bins * BIN_SECONDS > now:
            bins -= 1
        return bins

    def _mixed(self) -> float:
        if not self._canary.arrivals:
            return 1.0
        bets = self._log_bets()
        mixed = self._mixture.evidence_of(bets)
        if mixed <= 1:
            return mixed
        episodes, exposure = self._since()[:, self._likeliest_onset(bets[-1])]
        return max(1.0, min(mixed, self._baseline.most(round(episodes), float(exposure))))

    def _likeliest_onset(self, bets: Floats) -> int:
        """By the prior and the larger effect."""
        bets = bets.copy()
        bets[0] += math.log(FIRST_ONSET / (1 - FIRST_ONSET) * max(1, self._mixture.planned_bins - 1))
        return int(np.argmax(bets[: self._mixture.planned_bins]))

    def _since(self) -> Floats:
        """Canary's episodes and exposure since each onset; shape (2, onsets)."""
        now = np.array([[self._canary.episodes], [self._canary.exposure]])
        since: Floats = now - self._before[:, : self._onsets]
        return since

    def _log_bets(self) -> Floats:
        return self._baseline.log_bets(*self._since())

    def is_like(self, other: "ErrorEvidence") -> bool:
        """The baseline fails alike in both sources, as far as their counts tell (exact test, 5 %)."""
        ours, theirs = self._baseline, other._baseline
        pairs = ((ours, theirs), (theirs, ours))
        p_values = [fisher_p(a.episodes, a.requests, b.episodes, b.requests, 1.0) for a, b in pairs]
        return min(p_values) > UNLIKE_P / 2

    @property
    def allowed_ratio(self) -> float:
        """The ratio of error rates that is still no harm."""
        return self._baseline.allowed_ratio

    @property
    def baseline_rate(self) -> float:
        """Episodes per armed arrival, as the prior and all that was seen say."""
        return self._baseline.rate

    @property
    def unexplained_in_silence(self) -> bool:
        """The canary failed while the baseline was not seen, more than the baseline's history explains."""
        return not self._baseline.explains(self._silent.episodes, self._silent.exposure)

    def smallest_ratio_found(self, threshold: float, power: float = 0.8) -> float | None:
        """The canary's error ratio, from the start on, that would have reached `threshold` by now."""
        asked = threshold, power
        if asked not in self._found:
            wanted = math.log(2 * threshold / FIRST_ONSET)  # the larger effect alone, of two
            arrivals, exposure = round(self._canary.arrivals), self._canary.exposure
            self._found[asked] = self._baseline.smallest_ratio_found(wanted, exposure, arrivals, power)
        return self._found[asked]

    def _close_bin(self) -> None:
        begin = self._start + self._next_bin * BIN_SECONDS
        end = self._start + (self._next_bin + 1) * BIN_SECONDS
        baseline, canary = self._count(begin, end)
        self._surge.add(baseline.raw_arrivals, baseline.raw_errors)
        if self._waiting is not None:
            self._judge(self._waiting)
        self._baseline = replace(
            self._baseline,
            episodes=self._baseline.episodes + baseline.episodes,
            arrivals=self._baseline.arrivals + baseline.arrivals,
        )
        if (self._next_bin + 1) % BLOCK_BINS == 0:
            self._close_dispersion_block()
        self._baseline = replace(self._baseline, divisor=self._divisor())
        self._waiting = self._exposed(canary) if self._next_bin >= 0 else None

    def _count(self, begin: float, end: float) -> tuple[ArmBin, ArmBin]:
        """Baseline and canary of one bin; what is older than the history is left out."""
        if self._next_bin == -HISTORY_BINS:
            self._arrivals.take(begin)
            self._failures.take(begin)
            self._observed = [seen for seen in self._observed if seen.at >= begin]
        singles = self._singles.count(self._arrivals.take(end), self._failures.take(end), begin, end)
        due = [seen for seen in self._observed if seen.at < end]
        self._observed = [seen for seen in self._observed if seen.at >= end]
        counters = self._counters.count(due, end)
        both = singles + counters
        return both.baseline, both.canary

    def _exposed(self, canary: ArmBin) -> _Canary:
        seconds = max(1, canary.replicas) * BIN_SECONDS - canary.dead_seconds
        allowance = self._baseline.allowance(
            canary.raw_arrivals, canary.replicas, BIN_SECONDS, max(0.0, seconds)
        )
        return _Canary(canary.episodes, canary.arrivals + allowance, canary.arrivals)

    def _judge(self, canary: _Canary) -> None:
        """The bin before the last."""
        if self._onsets < self._mixture.planned_bins:
            self._before[:, self._onsets] = self._canary.episodes, self._canary.exposure
            self._onsets += 1
        if self._surge.silent(SILENT_BINS):
            self._silent += canary
        elif not self._surge.now(self._baseline.rate_above(0.84)):
            self._canary += canary

    def _close_dispersion_block(self) -> None:
        for reader in (self._singles, self._counters):
            self._dispersion.add(*reader.take_block())

    def _divisor(self) -> float:
        return self._dispersion.divisor(self._baseline.episodes, self._baseline.arrivals)

    def state(self) -> dict[str, Any]:
        return {
            "start": self._start,
            "next_bin": self._next_bin,
            "planned_bins": self._mixture.planned_bins,
            "arrivals": self._arrivals.state(),
            "failures": self._failures.state(),
            "observed": [asdict(seen) for seen in self._observed],
            "singles": self._singles.state(),
            "counters": self._counters.state(),
            "surge": self._surge.state(),
            "dispersion": self._dispersion.state(),
            "baseline": asdict(self._baseline),
            "before": self._before[:, : self._onsets].tolist(),
            "waiting": asdict(self._waiting) if self._waiting else None,
            "canary": asdict(self._canary),
            "silent": asdict(self._silent),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(state["start"], state["planned_bins"] * BIN_SECONDS)
        self._next_bin = state["next_bin"]
        self._arrivals = OpenMarks.from_state(state["arrivals"])
        self._failures = OpenMarks.from_state(state["failures"])
        self._observed = [Observed(**{**row, "arm": Arm(row["arm"])}) for row in state["observed"]]
        self._singles = Episodes.from_state(state["singles"])
        self._counters = CounterEpisodes.from_state(state["counters"])
        self._surge = Surge(**state["surge"])
        self._dispersion = Dispersion.from_state(state["dispersion"])
        self._baseline = BaselineErrors(**state["baseline"])
        before = np.array(state["before"], np.float64)
        self._onsets = before.shape[-1]
        self._before[:, : self._onsets] = before
        self._waiting = _Canary(**state["waiting"]) if state["waiting"] else None
        self._canary, self._silent = _Canary(**state["canary"]), _Canary(**state["silent"])
        self._value = None
        return self
