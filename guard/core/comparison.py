"""Canary against baseline in one run: paired items, errors, latency -> one `Check` each.

Owns the fixed-size comparisons of the suites (DESIGN 5.9): both arms were asked the same, at the same time,
and the run is over. Refuses to know who asked. The sequential evidence of a rollout lives in
`error_evidence` and `latency_evidence`; latency's arithmetic in `latency_comparison`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from guard.core.binomial import fisher_p, mcnemar_p, mcnemar_power, smallest_drop_found, tango_z
from guard.core.check import Check
from guard.core.latency_comparison import compare_latency as compare_latency
from guard.core.samples import Outcome, RequestSample, window_seconds
from guard.core.verdict import NotJudged, Verdict

PromotionPolicy = Literal["NoHarmFound", "NonInferior"]

PAIRED_ALPHA = 0.01
POWER = 0.8
QUALITY_MARGIN = 0.07  # pass-rate points that NonInferior allows
TANGO_Z = 1.645  # one-sided 5 %
ERROR_ALPHA = 0.001
ERROR_ODDS_MARGIN = 1.5  # the ratio r of the design's errors signal: less is within a fleet's own spread
EPISODE_SECONDS = 5.0  # one replica's requests fail together; errors this close are one episode
MIN_EPISODES = 3


@dataclass(frozen=True)
class PairedItem:
    """One item that both arms answered in the same run."""

    item: str
    baseline_pass: bool
    canary_pass: bool


@dataclass(frozen=True)
class ArmCounts:
    """Requests of one arm, and how many of them were bad."""

    bad: int
    total: int


def judge_pairs(pairs: Sequence[PairedItem], *, policy: str = "NoHarmFound", min_items: int = 12) -> Check:
    """Exact one-sided McNemar (FAIL at p <= .01), and by policy what else a PASS needs.

    NoHarmFound passes at `min_items` pairs and says which drop would have been found with probability 80 %,
    computed exactly with pairs won at the observed rate and the rest of the discordant ones lost.
    NonInferior passes only on Tango's proof that the drop is below 7 points (one-sided 5 %).
    A baseline that passes so few items that not even the loss of them all would have been found makes both
    INCONCLUSIVE, unless the same test shows that the canary is better: nothing else could have come out.

    Raises:
        ValueError: The policy is neither.
    """
    if policy not in ("NoHarmFound", "NonInferior"):
        raise ValueError(f"policy {policy!r}: expected NoHarmFound or NonInferior")
    if not pairs:
        return Check(
            "eval-paired", Verdict.NO_DATA, "no item was answered by both arms", "quality", samples=0
        )
    lost = [p.item for p in pairs if p.baseline_pass and not p.canary_pass]
    won = [p.item for p in pairs if p.canary_pass and not p.baseline_pass]
    n = len(pairs)
    p_value = mcnemar_p(len(lost), len(won))
    canary, baseline = (sum(p.canary_pass for p in pairs), sum(p.baseline_pass for p in pairs))
    drop = smallest_drop_found(n, len(won) / n, baseline / n, PAIRED_ALPHA, POWER)
    z = tango_z(len(lost), len(won), n, QUALITY_MARGIN)
    if p_value <= PAIRED_ALPHA:
        verdict, why = Verdict.FAIL, f"the canary is worse (p <= {PAIRED_ALPHA})"
    elif n < min_items:
        verdict, why = Verdict.INCONCLUSIVE, f"{n} pairs, at least {min_items} are needed"
    elif mcnemar_power(n, baseline / n, 0.0, PAIRED_ALPHA) < POWER:
        verdict, why = _blind(len(lost), len(won), baseline)
    else:
        verdict, why = _by_policy(policy, z, drop)
    return Check(
        "eval-paired",
        verdict,
        f"canary passes {canary} of {n} items, baseline {baseline} "
        f"({len(lost)} lost, {len(won)} won, p = {p_value:.2g}): {why}",
        "quality",
        value=canary / n,
        limit=_pass_ratio_limit(baseline, n, len(won), policy),
        baseline_value=baseline / n,
        unit="ratio",
        samples=n,
        p_value=p_value,
        detail={
            "policy": policy,
            "lost": lost,
            "won": won,
            "smallest_drop_found": drop,
            "power": POWER,
            "power_assumes": "pairs won at the observed rate, all other discordant pairs lost",
            "tango_z": z,
            "margin": QUALITY_MARGIN,
        },
    )


def _by_policy(policy: str, z: float, drop: float | None) -> tuple[Verdict, str]:
    if policy == "NonInferior" and z <= TANGO_Z:
        return Verdict.INCONCLUSIVE, f"not proven that the drop is below {100 * QUALITY_MARGIN:.0f} points"
    if policy == "NonInferior":
        return Verdict.PASS, f"the drop is below {100 * QUALITY_MARGIN:.0f} points (one-sided 5 %)"
    harm = (
        "the loss of all that the baseline passes" if drop is None else f"a drop of {100 * drop:.0f} points"
    )
    return Verdict.PASS, f"{harm} would have been found with probability 80 %"


def _blind(lost: int, won: int, baseline: int) -> tuple[Verdict, str]:
    """Too little to lose: only a canary that is shown to be better passes."""
    if mcnemar_p(won, lost) <= PAIRED_ALPHA:
        return Verdict.PASS, f"the canary is better (p <= {PAIRED_ALPHA})"
    why = "so not even the loss of them all would have been found with probability 80 %"
    return Verdict.INCONCLUSIVE, f"the baseline passes {baseline or 'none'}, {why}"


def _pass_ratio_limit(baseline: int, n: int, won: int, policy: str) -> float | None:
    """The canary's pass ratio at which the verdict turns: by proof, or by losses at the observed wins."""
    if policy == "NonInferior":
        return baseline / n - QUALITY_MARGIN
    lost = next((b for b in range(n + 1) if mcnemar_p(b, won) <= PAIRED_ALPHA), None)
    return None if lost is None or lost > baseline else (baseline - lost + won) / n


def compare_errors(
    canary: ArmCounts | Sequence[RequestSample],
    baseline: ArmCounts | Sequence[RequestSample] | None,
    *,
    min_requests: int = 1,
) -> Check:
    """Exact one-sided conditional (Fisher) test: the canary's odds of an error against 1.5 x the baseline's.

    FAIL at p <= .001. Requests of one replica fail together, so samples must also show errors in at least
    three episodes (5 s apart): one incident of a few seconds, which the change need not have caused, is
    INCONCLUSIVE. Bare counts cannot show that; there the p-value alone decides. A request without outcome
    is not counted: it is neither good nor bad yet.
    """
    if baseline is None:
        reason = "not compared: no baseline"
        return Check("errors-compared", NotJudged.NOT_COMPARED, reason, "errors", unit="ratio")
    ours, theirs = _counts(canary), _counts(baseline)
    if not ours.total or not theirs.total:
        reason = f"{ours.total} finished canary requests against {theirs.total} of the baseline"
        return Check("errors-compared", Verdict.NO_DATA, reason, "errors", unit="ratio", samples=ours.total)
    p_value = fisher_p(ours.bad, ours.total, theirs.bad, theirs.total, ERROR_ODDS_MARGIN)
    episodes = ours.bad if isinstance(canary, ArmCounts) else _episodes(canary)
    verdict, why = _error_verdict(p_value, episodes, min(ours.total, theirs.total), min_requests)
    return Check(
        "errors-compared",
        verdict,
        f"{ours.bad} of {ours.total} canary requests bad, {theirs.bad} of {theirs.total} of the baseline "
        f"(p = {p_value:.2g}): {why}",
        "errors",
        value=ours.bad / ours.total,
        baseline_value=theirs.bad / theirs.total,
        unit="ratio",
        samples=ours.total,
        window_seconds=None if isinstance(canary, ArmCounts) else window_seconds(canary),
        p_value=p_value,
        detail={"alpha": ERROR_ALPHA, "odds_margin": ERROR_ODDS_MARGIN, "canary_episodes": episodes},
    )


def _error_verdict(p_value: float, episodes: int, smaller: int, min_requests: int) -> tuple[Verdict, str]:
    if p_value <= ERROR_ALPHA and episodes >= MIN_EPISODES:
        return Verdict.FAIL, f"more errors than {ERROR_ODDS_MARGIN} x the baseline's odds"
    if p_value <= ERROR_ALPHA:
        return Verdict.INCONCLUSIVE, "all within one short incident; run again"
    if smaller < min_requests:
        return Verdict.INCONCLUSIVE, f"{smaller} requests an arm, at least {min_requests} are needed"
    return Verdict.PASS, "no excess of errors found"


def _counts(arm: ArmCounts | Sequence[RequestSample]) -> ArmCounts:
    if isinstance(arm, ArmCounts):
        return arm
    finished = [s for s in arm if s.outcome is not None]
    return ArmCounts(sum(s.outcome is not Outcome.OK for s in finished), len(finished))


def _episodes(samples: Iterable[RequestSample]) -> int:
    """Errors 5 s or more after the last counted one of their replica; an error without a time is one."""
    last: dict[str | None, float] = {}
    count = 0
    bad = [s for s in samples if s.outcome not in (None, Outcome.OK)]
    for sample in sorted(bad, key=lambda s: s.finished_at or s.sent_at or 0.0):
        at = sample.finished_at or sample.sent_at
        if at is None or at - last.get(sample.replica, float("-inf")) >= EPISODE_SECONDS:
            count += 1
            if at is not None:
                last[sample.replica] = at
    return count
