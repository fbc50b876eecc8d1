"""What each live signal says of itself: figures, limit, and while undecided what it would take.

Owns wording. Verdicts here are those short of FAIL; the rule alone turns a signal into FAIL.
"""

import math

from guard.core.check import Check
from guard.core.error_evidence import ErrorEvidence
from guard.core.latency_comparison import FASTER, MUCH_FASTER
from guard.core.probe_pairs import ProbePairs
from guard.core.quality_evidence import ALLOWED_DROP
from guard.core.samples import Arm, Source
from guard.core.step_tally import StepTally
from guard.core.ttft_evidence import MARGIN
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
) -> Check:
    """The canary's errors against the baseline's, in this step, by one source."""
    ours, theirs = tally.errors(source, Arm.CANARY), tally.errors(source, Arm.BASELINE)
    found = evidence.smallest_ratio_found(threshold) if evidence else None
    verdict, why = Verdict.PASS, "no excess of errors found"
    if not ours.total or evidence is None:
        verdict, why = Verdict.NO_DATA, "no canary request seen in this step"
    elif evidence.unexplained_in_silence:
        verdict, why = Verdict.INCONCLUSIVE, "the baseline was not seen while the canary failed"
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


def ttft_check(pairs: ProbePairs, e_value: float, threshold: float, now: float) -> Check:
    """TTFT of paired probes; not compared where no pair may say anything."""
    known, why_not = pairs.evidence_of_pairs, pairs.left_out_because(now)
    ratio = known.effect_ratio if known else None
    if known is None or ratio is None:
        reason = "not compared: " + (why_not or "no pair of probes answered by both arms yet")
        return Check(
            "ttft-live",
            NotJudged.NOT_COMPARED,
            reason,
            "ttft",
            limit=MARGIN,
            unit="ratio",
            samples=0,
            window_seconds=known.seconds if known else None,
            threshold=threshold,
        )
    low, high = known.effect_interval or (ratio, ratio)
    state = FASTER if high < MUCH_FASTER else "no harm found"
    state = f"slower so far{_more(known.pairs, e_value, threshold)}" if e_value > LEANING else state
    state += f"; {pairs.left_out} pairs left out" if pairs.left_out else ""
    state += f"; now paused: {why_not}" if why_not else ""
    check = Check(
        "ttft-live",
        Verdict.PASS,
        f"TTFT x{ratio:.2f} (95 % {low:.2f}-{high:.2f}) on {known.pairs} pairs of probes: {state}",
        "ttft",
        value=ratio,
        limit=MARGIN,
        unit="ratio",
        samples=known.pairs,
        window_seconds=known.seconds,
        evidence=e_value,
        threshold=threshold,
        detail={"interval_95": [low, high], "left_out": pairs.left_out},
    )
    return check.as_undecided() if _leans(check) else check


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
