import math

import pytest

from guard.core.promotion import CLAIMS, Power, Proof, no_harm_found, proof_checks, proven
from guard.core.verdict import Verdict

ALL = {claim.name: Proof(25.0, 500, 900.0) for claim in CLAIMS}


def test_all_claims_proven_promote():
    checks = proof_checks(ALL)
    assert proven(checks)
    assert {check.verdict for check in checks} == {Verdict.PASS}
    assert {check.signal for check in checks} == {"ttft", "itl", "errors", "quality"}


@pytest.mark.parametrize("claim", [claim.name for claim in CLAIMS])
@pytest.mark.parametrize(
    "proof",
    [Proof(19.9, 500), Proof(1.0, 0), Proof(None, 500, why_not="loads differ"), Proof(math.nan, 9)],
    ids=str,
)
def test_one_claim_short_of_proof_holds(claim, proof):
    checks = proof_checks({**ALL, claim: proof})
    assert not proven(checks)
    assert [check.name for check in checks if check.verdict is Verdict.INCONCLUSIVE] == [claim]


def test_what_was_not_seen_is_not_proven():
    assert not proven(proof_checks({}))
    assert not proven(proof_checks({}, claims=()))
    assert "nothing seen of both arms" in proof_checks({})[0].reason


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (Proof(25.0, 500), "proven: TTFT is less than x1.25 (evidence 25, 20 wanted, 500 of the canary)"),
        (
            Proof(math.sqrt(20), 300),
            "not proven: TTFT is less than x1.25 (evidence 4.47, 20 wanted, 300 of the canary; "
            "about 300 more like these would prove it)",
        ),
        (Proof(0.3, 300), "not proven: TTFT is less than x1.25 (evidence 0.3, 20 wanted, 300 of the canary)"),
        (Proof(None, why_not="loads differ"), "not proven: TTFT is less than x1.25 (loads differ)"),
    ],
)
def test_a_claim_says_what_stands_behind_it(proof, reason):
    assert proof_checks({"ttft-non-inferior": proof})[0].reason == reason


def test_no_harm_found_says_what_would_have_been_found():
    powers = [Power("ttft", 1.316), Power("itl", None), Power("errors", 0.0214), Power("quality", 0.12)]
    assert no_harm_found(powers) == (
        "promoted without proof of equality; TTFT x1.32, 2.1 % of errors, a loss of 12 points of quality "
        "would have been found with probability 80 %; no regression of ITL would have been found"
    )
    assert no_harm_found([]) == "promoted without proof of equality"
