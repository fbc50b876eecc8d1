"""The five verdicts, how they combine, and the exit code of each.

Owns the order of DESIGN section 4. Refuses to know what was judged: a `Check` carries that.
"""

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """What a judgement came to. Silence is NO_DATA, a fault in what we measure with is ERROR."""

    FAIL = "FAIL"
    ERROR = "ERROR"
    NO_DATA = "NO_DATA"
    INCONCLUSIVE = "INCONCLUSIVE"
    PASS = "PASS"


class NotJudged(StrEnum):
    """Why a check has no verdict. It is left out when verdicts combine, and never shown as passed."""

    NOT_APPLICABLE = "NOT_APPLICABLE"  # the runtime has no such behaviour to check
    NOT_COMPARED = "NOT_COMPARED"  # a comparison, and there is no baseline


_WORST_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.NO_DATA, Verdict.INCONCLUSIVE, Verdict.PASS)

EXIT_CODES = {
    Verdict.PASS: 0,
    Verdict.FAIL: 1,
    Verdict.INCONCLUSIVE: 2,
    Verdict.NO_DATA: 2,
    Verdict.ERROR: 3,
}


def combine(verdicts: Iterable[Verdict | NotJudged]) -> Verdict:
    """The worst of several verdicts: FAIL > ERROR > NO_DATA > INCONCLUSIVE > PASS.

    What was not judged is left out; when nothing is left, the answer is NO_DATA.
    """
    seen = set(verdicts)
    return next((verdict for verdict in _WORST_FIRST if verdict in seen), Verdict.NO_DATA)
