"""Is the canary slower? One run, both arms asked the same at the same moments -> effect, interval, verdict.

Owns the comparison of TTFT and ITL for the load suite. Refuses to test request by request: the requests of
one replica are slow together, and a t-test on them calls every third good canary slow.

The effect D is the mean of paired log-ratios (of differences between blocks of 15 s where nothing is paired),
clipped at three robust standard deviations. Its variance has two parts. What the run shows: the spread of
block means, never below that of independent pairs. What one run cannot show: replicas differ by machine
(sd .0275 of ln X each) and wander slowly (Ornstein-Uhlenbeck, time 120 s, integrated over the run), so one
replica against one differs for the length of a short run though the build is the same. This second part is
a floor that no number of requests lowers; it is taken with sd .10 to call FAIL and with .06 to doubt.

TTFT: FAIL when the effect is >= x1.25 and D exceeds ln 1.10 by 2.58 standard errors. ITL: one replica
against one cannot tell a slower machine from a slower build, so FAIL only at >= x1.5 and 2.58 standard
errors above ln 1.15. Short of that, >= x1.25 and 2.0 of the smaller standard errors is INCONCLUSIVE.

Simulated on seeds not used to choose constants (one replica each, OU noise sd .06 or .10, bursts shared by
the arms, queueing sd .1 over 8 s, requests' own sd .3; 30 s at 1/s and 60 s at 4/s; 1,000 good and 200 slow
runs a cell): false FAIL 0 to 0.6 %, false INCONCLUSIVE 0 to 5 %. x2 is FAIL in 73-98 %; x1.5 is FAIL in
9-39 % and PASS in 16-46 %: a short run of one replica against one does not find it.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from guard.core.check import Check
from guard.core.latency import quantile
from guard.core.samples import Outcome, RequestSample
from guard.core.verdict import NotJudged, Verdict

Signal = Literal["ttft", "itl"]
Floats = npt.NDArray[np.float64]

BLOCK_SECONDS = 15.0
MIN_BLOCKS = 4
MACHINE_SD = 0.0275  # of ln X, per replica (DECISION: sigma_a)
WANDER_SD = 0.10  # of ln X, per replica; upper end of what replicas of one build do
TYPICAL_WANDER_SD = 0.06  # DECISION: prior of sigma_u
WANDER_SECONDS = 120.0
FAIL_Z = 2.58
DOUBT_Z = 2.0
POWER_Z = 0.8416  # 80 %
INTERVAL_Z = 1.96
CAP_FACTOR = 6.0  # a request still waiting counts as 6 x the baseline's p99, as everywhere
SPREAD_PRIOR = 8.0  # blocks' worth of belief that pairs are independent
NOTICEABLE = 1.25
MUCH_FASTER = 1 / NOTICEABLE
FASTER = "faster; where the baseline served other requests meanwhile, this hides a slowdown"


@dataclass(frozen=True)
class Limits:
    """What a signal is judged against: no-worse margin, and the ratio from which FAIL is possible."""

    margin: float
    fail_ratio: float


LIMITS: dict[Signal, Limits] = {"ttft": Limits(1.10, NOTICEABLE), "itl": Limits(1.15, 1.5)}


@dataclass(frozen=True)
class Effect:
    """Mean log-ratio, with its standard error as a statement on the build (floor included)."""

    log_ratio: float
    build_error: float
    doubt_error: float  # the same with replicas as calm as they typically are
    differences: int

    def ratio(self, z: float = 0.0) -> float:
        return math.exp(self.log_ratio + z * self.build_error)


def compare_latency(
    canary: Sequence[RequestSample],
    baseline: Sequence[RequestSample] | None,
    *,
    signal: Signal,
    min_requests: int,
) -> Check:
    """Judge one latency signal of a finished run; the rule is the module's docstring.

    A request that ended in an error has no latency (the errors are compared apart). One that timed out or
    still waits for its first token counts as 6 x the baseline's p99: leaving it out would flatter a hang.

    Args:
        canary, baseline: Requests of one source; both arms of a pair carry the same `pair_id`.
        signal: TTFT (from the scheduled time) or ITL (the request's mean gap).
        min_requests: Needed in each arm; fewer is INCONCLUSIVE unless it is a FAIL, none is NO_DATA.
    Returns:
        `value` and `baseline_value` are medians of what was measured, in seconds, None where half never got
        there; effect and 95 % interval stand in `detail`. Only the effect rests on the capped values.
    """
    name = f"{signal}-compared"
    if baseline is None:
        return Check(name, NotJudged.NOT_COMPARED, "not compared: no baseline", signal, unit="seconds")
    known = [x for s in baseline if (x := _known(s, signal)) is not None]
    p99 = quantile(known, 0.99)
    cap = math.inf if p99 is None else CAP_FACTOR * p99
    ours, theirs = (_values(arm, signal, cap) for arm in (canary, baseline))
    if not ours or not known:
        reason = f"{len(ours)} canary and {len(known)} baseline requests have a {signal.upper()}"
        return Check(name, Verdict.NO_DATA, reason, signal, unit="seconds", samples=len(ours))
    effect = _effect(ours, theirs)
    verdict, why = _verdict(effect, LIMITS[signal], min(len(ours), len(theirs)), min_requests)
    return _check(name, signal, verdict, why, effect, ours, theirs)


def _check(
    name: str,
    signal: Signal,
    verdict: Verdict,
    why: str,
    effect: Effect | None,
    ours: list["Timed"],
    theirs: list["Timed"],
) -> Check:
    p50, p50_baseline = (_p50(arm) for arm in (ours, theirs))
    starts = [t.at for t in (*ours, *theirs)]
    shown = f"p50 {_seconds(p50)} against {_seconds(p50_baseline)}"
    capped = [sum(t.seconds < t.measured for t in arm) for arm in (ours, theirs)]
    if effect is not None:
        least = "at least " if capped[0] > capped[1] else ""
        shown = f"{least}x{effect.ratio():.2f} (95 % {_interval(effect)}), {shown}"
    limit = None if p50_baseline is None else p50_baseline * LIMITS[signal].fail_ratio
    check = Check(
        name,
        verdict,
        f"{signal.upper()} {shown}: {why}",
        signal,
        value=p50,
        limit=limit,
        baseline_value=p50_baseline,
        unit="seconds",
        samples=len(ours),
        window_seconds=max(starts) - min(starts),
        detail={} if effect is None else {**_detail(effect, LIMITS[signal]), "capped": capped[0]},
    )
    over = p50 is None or (limit is not None and p50 > limit)
    return check.as_undecided() if verdict is Verdict.PASS and over else check


def _p50(arm: list["Timed"]) -> float | None:
    """Of what was measured; None when it falls among requests that never got there."""
    found = quantile([t.measured for t in arm], 0.5)
    return None if found == math.inf else found


def _seconds(value: float | None) -> str:
    return "never reached" if value is None else f"{value:.3g} s"


def _interval(effect: Effect) -> str:
    return f"{effect.ratio(-INTERVAL_Z):.2f}-{effect.ratio(INTERVAL_Z):.2f}"


def _detail(effect: Effect, limits: Limits) -> dict[str, float | int | str | list[float]]:
    return {
        "effect_ratio": effect.ratio(),
        "interval_95": [effect.ratio(-INTERVAL_Z), effect.ratio(INTERVAL_Z)],
        "differences": effect.differences,
        "margin_ratio": limits.margin,
        "fail_ratio": limits.fail_ratio,
        "smallest_slowdown_found": _smallest_found(effect, limits),
        "power": 0.8,
    }


def _smallest_found(effect: Effect, limits: Limits) -> float:
    needed = max(math.log(limits.fail_ratio), math.log(limits.margin) + FAIL_Z * effect.build_error)
    return math.exp(needed + POWER_Z * effect.build_error)


def _verdict(effect: Effect | None, limits: Limits, smaller: int, min_requests: int) -> tuple[Verdict, str]:
    if effect is None:
        return Verdict.INCONCLUSIVE, "too few requests at the same moments to compare"
    over = effect.log_ratio - math.log(limits.margin)
    if effect.ratio() >= limits.fail_ratio and over > FAIL_Z * effect.build_error:
        return (
            Verdict.FAIL,
            f"slower by x{limits.fail_ratio:.2f} or more, and not by machines and noise alone",
        )
    if smaller < min_requests:
        return Verdict.INCONCLUSIVE, f"{smaller} requests an arm, at least {min_requests} are needed"
    if effect.ratio() >= NOTICEABLE and over > DOUBT_Z * effect.doubt_error:
        return Verdict.INCONCLUSIVE, "slower in this run, but machine or noise may explain it; run longer"
    if effect.ratio(INTERVAL_Z) < MUCH_FASTER:
        return Verdict.PASS, FASTER
    found = _smallest_found(effect, limits)
    return Verdict.PASS, f"no harm found; x{found:.2f} would have been found with probability 80 %"


@dataclass(frozen=True)
class Timed:
    """One request: when it was due, its value, capped, and what was measured (infinite: it never came)."""

    at: float
    seconds: float
    measured: float
    pair_id: str | None


def _known(sample: RequestSample, signal: Signal) -> float | None:
    value = sample.ttft_seconds if signal == "ttft" else _mean_gap(sample)
    return value if value is not None and math.isfinite(value) and value > 0 else None


def _mean_gap(sample: RequestSample) -> float | None:
    if sample.itl_mean_seconds is not None:
        return sample.itl_mean_seconds
    gaps = len(sample.token_at) - 1
    return (sample.token_at[-1] - sample.token_at[0]) / gaps if gaps > 0 else None


def _values(arm: Sequence[RequestSample], signal: Signal, cap: float) -> list[Timed]:
    found = []
    for sample in arm:
        at = sample.scheduled_at if sample.scheduled_at is not None else sample.sent_at
        value = _known(sample, signal)
        hangs = sample.first_token_at is None and sample.outcome in (None, Outcome.TIMEOUT, Outcome.STALLED)
        if value is None and signal == "ttft" and hangs:
            value = math.inf
        if at is not None and value is not None and math.isfinite(at):
            found.append(Timed(at, min(value, cap), value, sample.pair_id))
    return found


def _effect(ours: list[Timed], theirs: list[Timed]) -> Effect | None:
    start, end = (pick(t.at for t in (*ours, *theirs)) for pick in (min, max))
    seconds = max(end - start, 1e-3)
    width = min(BLOCK_SECONDS, seconds / MIN_BLOCKS)

    def block(at: float) -> int:
        return min(int((at - start) / width), math.ceil(seconds / width) - 1)

    at, d = _paired(ours, theirs)
    if len(d) < 0.5 * min(len(ours), len(theirs)):
        at, d = _unpaired(ours, theirs, block)
    if len(d) < MIN_BLOCKS:
        return None
    middle = float(np.median(d))
    spread = max(1.4826 * float(np.median(np.abs(d - middle))), 1e-6)
    d = np.clip(d, middle - 3 * spread, middle + 3 * spread)
    run_variance = _run_variance(d, np.array([block(t) for t in at]))
    build, doubt = (math.sqrt(run_variance + _floor(seconds, sd)) for sd in (WANDER_SD, TYPICAL_WANDER_SD))
    return Effect(float(d.mean()), build, doubt, len(d))


def _paired(ours: list[Timed], theirs: list[Timed]) -> tuple[Floats, Floats]:
    partner = {t.pair_id: t for t in theirs if t.pair_id is not None}
    pairs = [(t, partner[t.pair_id]) for t in ours if t.pair_id in partner]
    at = np.array([c.at for c, _ in pairs])
    return at, np.array([math.log(c.seconds / b.seconds) for c, b in pairs])


def _unpaired(ours: list[Timed], theirs: list[Timed], block: Callable[[float], int]) -> tuple[Floats, Floats]:
    """Difference of the block means of ln X, one for each block that has both arms."""
    blocks: tuple[dict[int, list[Timed]], ...] = (defaultdict(list), defaultdict(list))
    for arm, by_block in zip((ours, theirs), blocks, strict=True):
        for timed in arm:
            by_block[block(timed.at)].append(timed)
    both = sorted(blocks[0].keys() & blocks[1].keys())
    mean = [{q: float(np.mean([math.log(t.seconds) for t in by[q]])) for q in both} for by in blocks]
    at = np.array([min(t.at for t in blocks[0][q]) for q in both])
    return at, np.array([mean[0][q] - mean[1][q] for q in both])


def _run_variance(d: Floats, blocks: npt.NDArray[np.int_]) -> float:
    """Variance of mean(d): spread of block means, shrunk to and never below that of independent values."""
    independent = float(d.var(ddof=1)) / len(d)
    members = [d[blocks == q] for q in np.unique(blocks)]
    # Each block's squared deviation, in units of what independence predicts for it.
    scores = [len(m) * float(m.mean() - d.mean()) ** 2 / max(float(d.var(ddof=1)), 1e-12) for m in members]
    inflation = (SPREAD_PRIOR + sum(scores)) / (SPREAD_PRIOR + len(members) - 1)
    return independent * max(1.0, inflation)


def _floor(seconds: float, wander_sd: float) -> float:
    """Variance of the difference of two replicas of one build, averaged over a run (integrated OU)."""
    x = seconds / WANDER_SECONDS
    left = 2 * (x - 1 + math.exp(-x)) / x**2 if x > 1e-4 else 1.0
    return 2 * (MACHINE_SD**2 + wander_sd**2 * left)
