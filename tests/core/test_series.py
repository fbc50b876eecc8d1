from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.core.series import RequestPoint, TrafficBin, bins, points


def _sample(**fields):
    return RequestSample("r", Source.LOAD, Arm.CANARY, **fields)


def test_points_count_latency_from_the_scheduled_time_and_are_in_order():
    late = _sample(scheduled_at=2.0, sent_at=2.5, first_token_at=3.0, outcome=Outcome.OK)
    early = _sample(sent_at=1.0, first_token_at=1.25, outcome=Outcome.OK)
    assert [(p.at, p.ttft_seconds) for p in points([late, early], 100.0)] == [(101.0, 0.25), (102.0, 1.0)]


def test_sample_without_any_time_has_no_place_on_a_plot():
    assert points([_sample(outcome=Outcome.REFUSED)]) == ()


def test_bins_count_failed_requests_per_arm_and_not_those_still_waiting():
    def point(at, arm, outcome):
        return RequestPoint(at, arm, Source.PROBE, None, outcome)

    seen = [
        point(11.0, Arm.CANARY, Outcome.ERROR),
        point(19.9, Arm.CANARY, None),
        point(20.0, Arm.CANARY, Outcome.OK),
        point(12.0, Arm.BASELINE, Outcome.OK),
    ]
    assert bins(seen, 10.0) == (
        TrafficBin(10.0, 10.0, Arm.BASELINE, 1, 0),
        TrafficBin(10.0, 10.0, Arm.CANARY, 2, 1),
        TrafficBin(20.0, 10.0, Arm.CANARY, 1, 0),
    )
