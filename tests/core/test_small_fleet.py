import pytest

from guard.core.latency_baseline import LatencyBaseline
from guard.core.small_fleet import SmallFleet


@pytest.mark.parametrize(
    ("signal", "canaries", "baselines", "margin"),
    [
        ("ttft", 1, 1, 1.10),
        ("ttft", 3, 3, 1.10),
        ("itl", 1, 1, 1.15),
        ("itl", 1, 7, 1.15),
        ("itl", 2, 1, 1.15),
        ("itl", 2, 2, 1.05),
        ("itl", 0, 0, 1.15),
    ],
)
def test_margin_is_wider_where_one_replica_stands_for_an_arm(signal, canaries, baselines, margin):
    assert SmallFleet(signal, canaries, baselines).margin == margin


def test_arms_of_more_replicas_differ_less():
    assert [SmallFleet("ttft", c, b).kappa for c, b in ((1, 1), (1, 2), (2, 2), (0, -1))] == [2, 1.5, 1, 2]


def test_replicas_that_come_or_go_are_not_yet_known():
    one = SmallFleet("ttft", 1, 1)
    assert one.kappa_since(one) == 0
    assert one.sized(2, 4).kappa_since(one) == one.kappa_since(one.sized(2, 4)) == 0.5 + 0.75


def test_pairs_that_speak_alone_bring_wider_priors():
    baseline, live = LatencyBaseline(0.6), SmallFleet("ttft")
    paired = SmallFleet("ttft", unknown=True)
    assert [f.wander(baseline) for f in (live, paired)] == pytest.approx([0.06**2, 0.09**2])
    assert [f.machines(baseline) for f in (live, paired)] == pytest.approx([0.0275**2, 0.03**2])
    assert paired.inflation == pytest.approx(1.25 * live.inflation)
    assert live.hold_machines(baseline) == pytest.approx(0.005**2)
