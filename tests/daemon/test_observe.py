"""Claims about what one look at a target says."""

from guard.adapters.workloads import Address
from guard.core.samples import Arm
from guard.daemon.observe import Observation, Side


def side(*addresses: Address) -> Side:
    return Side(None, (), addresses)


def test_an_endpoint_knows_the_pod_that_answers_there() -> None:
    seen = Observation(None, side(Address("10.0.0.1", "stable-a")), side(Address("fd00::2")))
    found = seen.endpoints(8000)
    assert [(e.url, e.pod) for e in found[Arm.BASELINE]] == [("http://10.0.0.1:8000", "stable-a")]
    assert [(e.url, e.pod) for e in found[Arm.CANARY]] == [("http://[fd00::2]:8000", None)]
