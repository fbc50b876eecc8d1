"""What a person sees of a Change while it is followed."""

from guard.demo.rollouts import Telling


def told(*statuses: dict) -> list[tuple[str, str]]:
    said: list[tuple[str, str]] = []
    telling = Telling(lambda kind, message: said.append((kind, message)))
    for status in statuses:
        telling.tell(status)
    return said


ENTERED = {"kind": "StepEntered", "message": "10 %"}
ENDED = {"kind": "RolledBack", "message": "worse"}


def test_a_line_of_the_timeline_is_said_once():
    status = {"phase": "Progressing", "timeline": [ENTERED], "reason": "StepEntered", "message": "10 %"}
    assert told(status, status) == [("StepEntered", "10 %")]


def test_the_verdict_is_said_whenever_it_has_changed():
    status = {"phase": "Progressing", "timeline": [ENTERED], "reason": "Analysing", "verdict": "PASS"}
    first, second = {**status, "message": "0 of 2 bad"}, {**status, "message": "1 of 3 bad"}
    assert told(first, first, second)[1:] == [
        ("Analysing", "PASS: 0 of 2 bad"),
        ("Analysing", "PASS: 1 of 3 bad"),
    ]


def test_a_change_without_a_status_or_without_a_verdict_is_told_as_it_is():
    waiting = {"phase": "Pending", "reason": "WaitingForCanary", "message": "not ready"}
    assert told({}, waiting) == [("WaitingForCanary", "no verdict yet: not ready")]


def test_the_end_is_said_by_the_timeline_alone():
    ended = {"phase": "Finished", "timeline": [ENDED], "reason": "RolledBack", "message": "worse, at length"}
    assert told(ended) == [("RolledBack", "worse")]


def test_what_was_forming_is_not_said_again_after_a_line_of_the_timeline():
    status = {"phase": "Testing", "reason": "TestingBeforeTraffic", "message": "suites are running"}
    assert [kind for kind, _ in told(status, {**status, "timeline": [ENTERED]})] == [
        "TestingBeforeTraffic",
        "StepEntered",
    ]
