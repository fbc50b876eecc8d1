"""When a decision says that it was made, and on a sample seen when."""

import pytest

from guard.core.change import Phase
from tests.daemon.harness import Harness
from tests.daemon.recorded import BAD


@pytest.mark.parametrize("apart", [-3e-6, 3e-6])
def test_a_sample_is_never_seen_after_its_decision(apart: float) -> None:
    """The two clocks are read one after the other: microseconds, which make the sample the later one."""
    harness = Harness()
    harness.turned.apart = apart  # more or less than when the Change began
    harness.until(Phase.ROLLING_BACK, **BAD)
    decision = harness.run.progress.decision
    assert decision is not None
    assert decision.sample_at == pytest.approx(decision.at, abs=1e-3)
    assert decision.sample_at <= decision.at


@pytest.mark.parametrize("apart", [-3e-6, 3e-6])
def test_nor_after_the_advice_that_it_led_to(apart: float) -> None:
    harness = Harness(enforcement="Advise")
    harness.turned.apart = apart
    for _ in range(5):
        harness.tick(stable=(2, 0))
    harness.target.weight = 50
    for _ in range(40):
        harness.tick(**BAD)
    advice = harness.run.progress.would_have
    assert advice is not None
    assert advice.sample_at == pytest.approx(advice.at, abs=1e-3)
    assert advice.sample_at <= advice.at
