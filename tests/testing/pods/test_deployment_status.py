"""The counts and conditions that `kubectl rollout status` waits on."""

from typing import Any

from guard.testing.pods.deployment_status import deployment_status

NOW = 1_000_000.0
NEW = {"metadata": {"name": "chat-new", "namespace": "n", "uid": "new"}}
OLD = {"metadata": {"name": "chat-old", "namespace": "n", "uid": "old"}}


def deployment(replicas: int = 1, status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"generation": 3}, "spec": {"replicas": replicas, **spec}, "status": status or {}}


def pod(owner: str, ready: bool = True, **metadata: Any) -> dict[str, Any]:
    reference = {"uid": owner, "controller": True}
    times = {"lastTransitionTime": "1970-01-12T13:46:30Z"}  # ten seconds before NOW
    conditions = [{"type": "Ready", "status": str(ready), **times}]
    return {
        "metadata": {"ownerReferences": [reference], **metadata},
        "status": {"phase": "Running", "conditions": conditions},
    }


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def test_a_finished_rollout_is_available_and_progressed() -> None:
    status = deployment_status(deployment(), NEW, [OLD], [pod("new")], NOW)
    assert status["observedGeneration"] == 3
    assert (status["replicas"], status["updatedReplicas"], status["availableReplicas"]) == (1, 1, 1)
    assert conditions(status) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }


def test_old_pods_keep_a_rollout_unfinished() -> None:
    status = deployment_status(deployment(), NEW, [OLD], [pod("new"), pod("old")], NOW)
    assert (status["replicas"], status["updatedReplicas"]) == (2, 1)
    assert conditions(status)["Progressing"] == ("True", "ReplicaSetUpdated")


def test_ending_pods_are_in_no_count() -> None:
    status = deployment_status(deployment(0), NEW, [], [pod("new", deletionTimestamp="t")], NOW)
    assert status["replicas"] == 0


def test_a_pod_is_available_only_after_min_ready_seconds() -> None:
    spec = deployment(minReadySeconds=20)
    early = deployment_status(spec, NEW, [], [pod("new")], NOW)
    late = deployment_status(spec, NEW, [], [pod("new")], NOW + 11)
    assert (early["readyReplicas"], early["availableReplicas"], late["availableReplicas"]) == (1, 0, 1)


def test_recreate_without_pods_is_not_available() -> None:
    status = deployment_status(deployment(strategy={"type": "Recreate"}), NEW, [], [], NOW)
    assert conditions(status)["Available"] == ("False", "MinimumReplicasUnavailable")


def test_a_rollout_that_stands_still_exceeds_its_deadline_and_moving_again_clears_it() -> None:
    spec = {"progressDeadlineSeconds": 60}
    waiting = deployment_status(deployment(**spec), NEW, [], [pod("new", ready=False)], NOW)
    stuck = deployment_status(
        deployment(status=waiting, **spec), NEW, [], [pod("new", ready=False)], NOW + 61
    )
    moving = deployment_status(deployment(status=stuck, **spec), NEW, [], [pod("new")], NOW + 70)
    assert conditions(stuck)["Progressing"] == ("False", "ProgressDeadlineExceeded")
    assert conditions(moving)["Progressing"] == ("True", "NewReplicaSetAvailable")
