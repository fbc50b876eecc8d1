"""Claims about what one look at a target says."""

import pytest

from guard.adapters.kubernetes.client import DEPLOYMENTS, KubernetesClient
from guard.adapters.workloads import Address, Replica, replicas
from guard.api.guard import GuardSpec
from guard.core.samples import Arm
from guard.daemon.observe import Namespace, Observation, PodWatch, Side
from tests.daemon.conftest import NAMESPACE

OFFSET = 1_800_000_000.0  # Unix less monotonic


def side(*addresses: Address) -> Side:
    return Side(None, (), addresses)


def test_an_endpoint_knows_the_pod_that_answers_there() -> None:
    seen = Observation(None, side(Address("10.0.0.1", "stable-a")), side(Address("fd00::2")))
    found = seen.endpoints(8000)
    assert [(e.url, e.pod) for e in found[Arm.BASELINE]] == [("http://10.0.0.1:8000", "stable-a")]
    assert [(e.url, e.pod) for e in found[Arm.CANARY]] == [("http://[fd00::2]:8000", None)]


def pod(ready_at: float | None, ready: bool = True) -> Replica:
    return Replica("chat-a", "10.0.0.1", ready, 0, frozenset(), ready_at)


def ready_events(watch: PodWatch, now: float, replica: Replica) -> list[float]:
    return [event.at for event in watch.events(now, [replica]) if event.kind == "ready"]


def test_a_pod_that_was_ready_long_before_the_first_look_is_not_just_ready() -> None:
    watch = PodWatch(Arm.CANARY, OFFSET)
    assert ready_events(watch, 1000.0, pod(OFFSET + 400.0)) == [400.0]
    assert ready_events(watch, 1001.0, pod(OFFSET + 400.0)) == []


def test_a_pod_that_became_ready_again_between_two_looks_is_ready_anew() -> None:
    watch = PodWatch(Arm.CANARY, OFFSET)
    watch.events(1000.0, [pod(OFFSET + 400.0)])
    assert ready_events(watch, 1002.0, pod(OFFSET + 1001.0)) == [1001.0]


@pytest.mark.parametrize("said", [None, OFFSET + 1060.0], ids=["no time", "a clock a minute ahead"])
def test_ready_is_never_later_than_the_look(said: float | None) -> None:
    assert ready_events(PodWatch(Arm.CANARY, OFFSET), 1000.0, pod(said)) == [1000.0]


def killed(state: str, ended_at: str, restarts: int) -> Replica:
    """The one pod of a Deployment, whose container ended so."""
    terminated = {"terminated": {"reason": "OOMKilled", "finishedAt": ended_at}}
    container = {"name": "server", "restartCount": restarts, state: terminated}
    labels = {"app": "chat"}
    deployment = {"metadata": {"namespace": "ns"}, "spec": {"selector": {"matchLabels": labels}}}
    metadata = {"name": "chat-a", "namespace": "ns", "labels": labels}
    (found,) = replicas(deployment, [{"metadata": metadata, "status": {"containerStatuses": [container]}}])
    return found


def ooms(watch: PodWatch, now: float, replica: Replica) -> int:
    return [event.kind for event in watch.events(now, [replica])].count("oom")


def test_each_time_that_a_container_runs_out_of_memory_is_told_once() -> None:
    watch = PodWatch(Arm.CANARY, OFFSET)
    watch.events(1.0, [pod(None, ready=False)])
    first, second = "2027-01-15T08:00:00Z", "2027-01-15T08:01:00Z"
    assert ooms(watch, 2.0, killed("state", first, 0)) == 1
    assert ooms(watch, 3.0, killed("lastState", first, 1)) == 0
    assert ooms(watch, 4.0, killed("lastState", second, 2)) == 1


def test_the_weight_is_read_although_the_canarys_deployment_is_gone(
    client: KubernetesClient, guard_spec: GuardSpec
) -> None:
    client.delete(DEPLOYMENTS, NAMESPACE, "chat-canary")
    namespace = Namespace(client, NAMESPACE, lambda: None)
    try:
        namespace.start()
        seen = namespace.look(guard_spec)
    finally:
        namespace.stop()
    assert seen.route is not None
    assert seen.route.weight_percent == 0
    assert seen.problem == "Deployment chat-canary does not exist"
