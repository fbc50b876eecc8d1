"""Which of a replay's ticks a person sees."""

from guard.core.replay import Moment
from guard.core.turning_points import turning_points
from guard.core.verdict import Verdict


def _moment(at, verdict=Verdict.PASS, evidence=1.0, step=1, signal=None):
    return Moment(at, step, 5, verdict, signal, None, evidence, {}, 0, 0)


def test_first_and_last_are_always_there():
    line = [_moment(5.0 * i) for i in range(10)]
    assert turning_points(line, 111.0) == [line[0], line[-1]]
    assert turning_points(line[:1], 111.0) == line[:1]
    assert turning_points([], 111.0) == []


def test_a_step_a_verdict_and_a_signal_are_turns():
    line = [
        _moment(0.0, Verdict.NO_DATA),
        _moment(5.0, Verdict.INCONCLUSIVE),
        _moment(10.0, Verdict.INCONCLUSIVE),
        _moment(15.0, Verdict.INCONCLUSIVE, signal="errors"),
        _moment(20.0, Verdict.INCONCLUSIVE, signal="errors", step=2),
        _moment(25.0, Verdict.INCONCLUSIVE, signal="errors", step=2),
    ]
    assert [moment.at_seconds for moment in turning_points(line, 111.0)] == [0.0, 5.0, 15.0, 20.0, 25.0]


def test_growing_evidence_is_told_of_at_each_level_once():
    values = [1.0, 3.0, 1.0, 3.0, 12.0, 60.0, 12.0, 60.0]
    line = [_moment(5.0 * i, evidence=value) for i, value in enumerate(values)]
    assert [moment.evidence for moment in turning_points(line, 111.0)] == [1.0, 3.0, 12.0, 60.0, 60.0]


def test_a_verdict_that_flutters_fills_no_screen():
    line = [_moment(5.0 * i, Verdict.PASS if i % 2 else Verdict.INCONCLUSIVE) for i in range(300)]
    shown = turning_points(line, 111.0, most=10)
    assert len(shown) == 10
    assert (shown[0], shown[-1]) == (line[0], line[-1])
