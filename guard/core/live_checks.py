"""What each live signal says of itself: figures, limit, and while undecided what it would take.

Owns wording. Verdicts here are those short of FAIL; the rule alone turns a signal into FAIL.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from guard.core.check import Check
from guard.core.error_evidence import ErrorEvidence
from guard.core.latency_comparison import FASTER, MUCH_FASTER
from guard.core.live_evidence import LiveEvidence
from guard.core.quality_evidence import ALLOWED_DROP
from guard.core.samples import Arm, Source
from guard.core.step_tally import StepTally
from guard.core.verdict import NotJudged, Verdict

LEANING = 2.0  # arbitrary: an e-value above it is worth a word


def traffic_check(canary_requests: int, min_requests: int, seconds: float) -> Check:
    """Has the canary been asked often enough in this step?"""
    missing = min_requests - canary_requests
    if canary_requests == 0:
        verdict, why = Verdict.NO_DATA, "no canary request seen in this step"
    elif missing > 0:
        wait = f", about {missing * seconds / canary_requests:.0f} s at this rate" if seconds > 0 else ""
        why = f"{canary_requests} of {min_requests} canary requests: about {missing} more{wait}"
        verdict = Verdict.INCONCLUSIVE
    else:
        verdict, why = Verdict.PASS, f"{canary_requests} canary requests, {min_requests} needed"
    return Check(
        "canary-traffic",
        verdict,
        why,
        value=float(canary_requests),
        limit=float(min_requests),
        unit="count",
        samples=canary_requests,
        window_seconds=seconds,
    )


def error_check(
    source: Source,
    tally: StepTally,
    evidence: ErrorEvidence | None,
    e_value: float,
    threshold: float,
    seconds: float,
    decided: bool = False,
) -> Check:
    """The canary's errors against the baseline's, in this step, by one source."""
    ours, theirs = tally.errors(source, Arm.CANARY), tally.errors(source, Arm.BASELINE)
    found = evidence.smallest_ratio_found(threshold) if evidence else None
    verdict, why = Verdict.PASS, "no excess of errors found"
    if not ours.total or evidence is None:
        verdict, why = Verdict.NO_DATA, "no canary request seen in this step"
    elif evidence.unexplained_in_silence:
        verdict, why = Verdict.INCONCLUSIVE, "the baseline was not seen while the canary failed"
    elif decided and e_value > LEANING:
        why = "more errors than the baseline"
    elif e_value > LEANING:
        why = f"more errors than the baseline so far{_more(ours.total, e_value, threshold)}"
    elif found is not None:
        why = f"no excess found; {found:.1%} of errors would have been found with probability 80 %"
    check = Check(
        "errors-live",
        verdict,
        f"{ours.bad} of {ours.total} canary requests bad, {theirs.bad} of {theirs.total} of the baseline "
        f"({source}): {why}",
        "errors",
        value=ours.bad / ours.total if ours.total else None,
        limit=_error_limit(evidence),
        baseline_value=theirs.bad / theirs.total if theirs.total else None,
        unit="ratio",
        samples=ours.total,
        window_seconds=seconds,
        evidence=e_value,
        threshold=threshold,
        detail={"source": str(source), "smallest_ratio_found": found, "power": 0.8},
    )
    return check.as_undecided() if _leans(check) else check


def latency_check(
    live: LiveEvidence, signal: str, e_value: float, threshold: float, now: float, decided: bool = False
) -> Check | None:
    """TTFT or ITL of users' requests or of paired probes; not compared where nothing may say anything.

    None for an ITL of which nothing was seen: no source of it is expected to be there. `decided`: all
    evidence together has reached what rolls back.
    """
    known = live.latency.of(signal)
    effect = known.effect if known else None
    if known is None or effect is None:
        if signal != "ttft":
            return None
        reason = "not compared: " + (live.pairs.left_out_because(now) or "nothing answered by both arms yet")
        return Check(
            "ttft-live",
            NotJudged.NOT_COMPARED,
            reason,
            signal,
            limit=live.latency.margin(signal),
            unit="ratio",
            samples=0,
            threshold=threshold,
        )
    ratio, low, high = effect
    tail = live.latency.histograms.tail(signal) if live.latency.by_histograms(signal) else {}
    samples = live.latency.requests_seen(signal) + live.latency.pairs_seen(signal)
    check = Check(
        f"{signal}-live",
        Verdict.PASS,
        f"{signal.upper()} x{ratio:.2f} (95 % {low:.2f}-{high:.2f}) on {_seen(live, signal)}: "
        f"{_latency_state(live, signal, effect, e_value, threshold, now, samples, decided)}{_tail(tail)}",
        signal,
        value=ratio,
        limit=live.latency.margin(signal),
        unit="ratio",
        samples=samples,
        window_seconds=now - live.start if live.start is not None else None,
        evidence=e_value,
        threshold=threshold,
        detail={"interval_95": [low, high], "left_out": live.pairs.left_out, "cold": live.cold}
        | ({"p95_between": {str(arm): _finite(edges) for arm, edges in tail.items()}} if tail else {}),
    )
    return check.as_undecided() if _leans(check) else check


def _latency_state(
    live: LiveEvidence,
    signal: str,
    effect: tuple[float, float, float],
    e_value: float,
    threshold: float,
    now: float,
    samples: int,
    decided: bool,
) -> str:
    state = FASTER if effect[2] < MUCH_FASTER else "no harm found"
    if decided and e_value > LEANING:
        state = "slower than the baseline"
    elif e_value > LEANING:
        state = f"slower so far{_more(samples, e_value, threshold)}"
    elif live.latency.load_differs(signal):
        state += "; the arms carry different load, at which a slowdown may not show"
    if signal == "ttft":
        paused = live.pairs.left_out_because(now)
        state += f"; {live.pairs.left_out} pairs left out" if live.pairs.left_out else ""
        state += f"; now paused: {paused}" if paused else ""
    return state


def _tail(tail: Mapping[Arm, tuple[float, float]]) -> str:
    """What the buckets of histograms cannot show: where between two edges the tail lies."""
    if len(tail) < len(Arm):
        return ""
    ours, theirs = (_bucket(*tail[arm]) for arm in (Arm.CANARY, Arm.BASELINE))
    return (
        f"; by histograms, which show of the tail only the bucket: p95 {ours}, baseline {theirs}, "
        "and no change within a bucket"
    )


def _bucket(low: float, high: float) -> str:
    return f"{low:g}-{high:g} s" if math.isfinite(high) else f"above {low:g} s"


def _finite(edges: tuple[float, float]) -> list[float | None]:
    """As JSON has it: None above the last edge."""
    return [edge if math.isfinite(edge) else None for edge in edges]


def _seen(live: LiveEvidence, signal: str) -> str:
    requests, pairs = live.latency.requests_seen(signal), live.latency.pairs_seen(signal)
    words = [f"{requests} canary requests"] if requests else []
    words += [f"{pairs} pairs of probes"] if pairs or not requests else []
    return " and ".join(words)


def slower_machine_or_build(check: Check) -> Check:
    """HOLD: the canary is slower, and too few replicas tell whether by its build or by its machine."""
    why = "slower, by its build or by its machine: so few replicas cannot tell; held"
    return replace(check, verdict=Verdict.INCONCLUSIVE, reason=f"{check.reason}; {why}")


def quality_check(pairs: int, e_value: float, threshold: float, seconds: float) -> Check:
    """Items answered online by both arms since the first step."""
    return Check(
        "quality-live",
        Verdict.PASS,
        f"{pairs} items answered by both arms: evidence {e_value:.2g} of a drop above "
        f"{100 * ALLOWED_DROP:.0f} points",
        "quality",
        limit=ALLOWED_DROP,
        unit="ratio",
        samples=pairs,
        window_seconds=seconds,
        evidence=e_value,
        threshold=threshold,
    )


def _leans(check: Check) -> bool:
    """A PASS only because too little was seen: over its limit, or with some evidence of harm."""
    over = check.value is not None and check.limit is not None and check.value > check.limit
    return check.verdict is Verdict.PASS and (over or (check.evidence or 0.0) > LEANING)


def _error_limit(evidence: ErrorEvidence | None) -> float | None:
    return min(1.0, evidence.allowed_ratio * evidence.baseline_rate) if evidence else None


def _more(samples: int, e_value: float, threshold: float) -> str:
    """What it would take: evidence grows by a factor a request, on average."""
    if e_value <= 1 or e_value >= threshold:
        return ""
    more = samples * (math.log(threshold) / math.log(e_value) - 1)
    return f": about {max(1, math.ceil(more))} more canary requests like these would decide"
