"""May the canary be promoted? By proof (NonInferior), or because nothing was found (NoHarmFound).

Owns DESIGN 5.7's conditions and the words of both. NonInferior promotes when every claim's e-value against
"worse by the margin or more" has reached 20: where the canary is worse by the margin, each does so at any
time with probability 5 % at most. NoHarmFound says what it did not prove: the smallest regression of each
signal that would have been found with probability 80 %. Refuses to know how evidence is made: the proofs are
in `rank_proof` or `difference_proof` and `tail_proof`, `error_proof`, `quality_proof`; power in `power`.

A claim that nothing was seen for is not proven. Silence promotes nothing.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from guard.core.check import Check
from guard.core.verdict import Verdict

PROVEN = 20.0


@dataclass(frozen=True)
class Claim:
    """What NonInferior wants proven.

    Attributes:
        limit: The margin, and `unit` its unit.
    """

    name: str
    signal: str
    words: str
    limit: float
    unit: str = "ratio"


CLAIMS = (
    Claim("ttft-non-inferior", "ttft", "TTFT is less than x1.25", 1.25),
    Claim("ttft-q95-non-inferior", "ttft", "TTFT p95 is less than x1.25", 1.25),
    Claim("itl-non-inferior", "itl", "ITL is less than x1.25", 1.25),
    Claim("errors-non-inferior", "errors", "errors are less than 1.5 points above the baseline's", 0.015),
    Claim("quality-non-inferior", "quality", "less than 7 points of eval items are lost", 0.07),
)


@dataclass(frozen=True)
class Proof:
    """What stands behind one claim.

    Attributes:
        evidence: E-value against the claim's contrary; None where nothing may be compared, with `why_not`.
        samples: Canary requests or items, over `seconds`.
    """

    evidence: float | None
    samples: int = 0
    seconds: float | None = None
    why_not: str = ""


def proof_checks(proofs: Mapping[str, Proof], claims: Iterable[Claim] = CLAIMS) -> list[Check]:
    """A check for each claim, PASS or INCONCLUSIVE; `proofs` by the claim's name."""
    return [_check(claim, proofs.get(claim.name, Proof(None))) for claim in claims]


def proven(checks: Iterable[Check]) -> bool:
    """Whether NonInferior may promote; nothing claimed is nothing proven."""
    verdicts = [check.verdict for check in checks]
    return bool(verdicts) and all(verdict is Verdict.PASS for verdict in verdicts)


def _check(claim: Claim, proof: Proof) -> Check:
    e = proof.evidence if proof.evidence is not None and math.isfinite(proof.evidence) else None
    done = e is not None and e >= PROVEN
    return Check(
        claim.name,
        Verdict.PASS if done else Verdict.INCONCLUSIVE,
        f"{'proven' if done else 'not proven'}: {claim.words}{_state(proof, e)}",
        claim.signal,
        limit=claim.limit,
        unit=claim.unit,
        samples=proof.samples,
        window_seconds=proof.seconds,
        evidence=e,
        threshold=PROVEN,
    )


def _state(proof: Proof, e: float | None) -> str:
    if e is None or not proof.samples:
        return f" ({proof.why_not or 'nothing seen of both arms'})"
    state = f" (evidence {e:.3g}, {PROVEN:g} wanted, {proof.samples} of the canary"
    if 1 < e < PROVEN:
        more = math.ceil(proof.samples * (math.log(PROVEN) / math.log(e) - 1))
        state += f"; about {max(1, more)} more like these would prove it" if more < 1e6 else ""
    return state + ")"


@dataclass(frozen=True)
class Power:
    """The smallest regression of one signal that would have been found with probability 80 % by now.

    Attributes:
        effect: A ratio for `ttft` and `itl` (1.32), a share of requests for `errors`, a drop of the pass
            rate for `quality`; None where no regression would have been.
    """

    signal: str
    effect: float | None


def no_harm_found(powers: Iterable[Power]) -> str:
    """What NoHarmFound has to say when it promotes."""
    powers = list(powers)
    found = [_words(power, power.effect) for power in powers if power.effect is not None]
    blind = [_NAMES.get(power.signal, power.signal) for power in powers if power.effect is None]
    text = "promoted without proof of equality"
    if found:
        text += f"; {', '.join(found)} would have been found with probability 80 %"
    if blind:
        text += f"; no regression of {', '.join(blind)} would have been found"
    return text


_NAMES = {"ttft": "TTFT", "itl": "ITL"}


def _words(power: Power, effect: float) -> str:
    match power.signal:
        case "errors":
            return f"{100 * effect:.1f} % of errors"
        case "quality":
            return f"a loss of {100 * effect:.0f} points of quality"
        case _:
            return f"{_NAMES.get(power.signal, power.signal)} x{effect:.2f}"
