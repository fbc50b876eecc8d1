"""Claims about what an end of a Change is worth to a pipeline."""

import pytest

from guard.core.change import Reason, exit_code, settled
from guard.core.verdict import Verdict


@pytest.mark.parametrize(
    ("ended", "verdict", "would_have", "code"),
    [
        (Reason.PROMOTED, Verdict.PASS, None, 0),
        (Reason.PROMOTED, Verdict.INCONCLUSIVE, None, 0),
        (Reason.ROLLED_BACK, Verdict.PASS, None, 1),
        (Reason.ABANDONED, Verdict.PASS, None, 2),
        (Reason.REFUSED, None, None, 3),
        (Reason.OBSERVED, Verdict.PASS, None, 0),
        (Reason.OBSERVED, Verdict.PASS, "Promote", 0),
        (Reason.OBSERVED, Verdict.PASS, "RollBack", 1),
        (Reason.OBSERVED, Verdict.FAIL, None, 1),
        (Reason.OBSERVED, Verdict.NO_DATA, None, 2),
        (Reason.OBSERVED, None, None, 2),
    ],
)
def test_a_pipeline_goes_on_only_after_a_good_end(
    ended: Reason, verdict: Verdict | None, would_have: str | None, code: int
) -> None:
    assert exit_code(ended, verdict, would_have) == code


@pytest.mark.parametrize("ended", [Reason.ROLLED_BACK, Reason.ABANDONED, Reason.REFUSED])
def test_no_pass_stands_beside_a_change_that_came_to_nothing(ended: Reason) -> None:
    assert settled(ended, Verdict.PASS, None) is Verdict.INCONCLUSIVE
    assert settled(ended, Verdict.FAIL, None) is Verdict.FAIL


def test_a_promoted_change_keeps_its_verdict() -> None:
    assert settled(Reason.PROMOTED, Verdict.PASS, None) is Verdict.PASS
    assert settled(Reason.OBSERVED, Verdict.PASS, "Promote") is Verdict.PASS
