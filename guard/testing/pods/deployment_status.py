"""The status of a Deployment, as `kubectl rollout status` and `kubectl wait` read it.

Pure. Counts and conditions follow kube-controller-manager (`deployment/sync.go`, `progress.go`).
"""

from collections.abc import Sequence

from guard.adapters.kubernetes.client import Object
from guard.testing.pods.objects import (
    condition,
    is_available,
    is_finished,
    is_ready,
    is_terminating,
    key,
    owned,
    seconds_of,
    with_conditions,
)
from guard.testing.pods.rollout import surge_and_unavailable

PROGRESS_DEADLINE_SECONDS = 600  # the API's default

Condition = tuple[str, str, str]


def deployment_status(
    deployment: Object, new: Object, old: Sequence[Object], pods: Sequence[Object], now: float
) -> Object:
    """The whole status to write; pods that are ending are in no count."""
    spec = deployment["spec"]
    wait = int(spec.get("minReadySeconds") or 0)
    updated = _living(new, pods)
    alive = [*updated, *(pod for replica_set in old for pod in _living(replica_set, pods))]
    counts = {
        "replicas": len(alive),
        "updatedReplicas": len(updated),
        "readyReplicas": sum(map(is_ready, alive)),
        "availableReplicas": sum(is_available(p, wait, now) for p in alive),
    }
    desired = int(spec.get("replicas", 1))
    counts["unavailableReplicas"] = max(0, desired - counts["availableReplicas"])
    wanted = {
        "Available": _available(spec, desired, counts["availableReplicas"]),
        "Progressing": _progressing(deployment, new, desired, counts, now),
    }
    before = (deployment.get("status") or {}).get("conditions") or []
    return {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        **counts,
        "conditions": with_conditions(before, wanted, now, stamp="lastUpdateTime"),
    }


def _living(replica_set: Object, pods: Sequence[Object]) -> list[Object]:
    return [p for p in owned(pods, replica_set) if not is_terminating(p) and not is_finished(p)]


def _available(spec: Object, desired: int, available: int) -> Condition:
    strategy = spec.get("strategy") or {}
    rolls = desired > 0 and strategy.get("type") != "Recreate"
    may_lack = surge_and_unavailable(strategy.get("rollingUpdate") or {}, desired)[1] if rolls else 0
    if available >= desired - may_lack:
        return "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
    return "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."


def _progressing(deployment: Object, new: Object, desired: int, counts: Object, now: float) -> Condition:
    name = key(new)[1]
    complete = counts["updatedReplicas"] == counts["replicas"] == counts["availableReplicas"] == desired
    if complete:
        return "True", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.'
    if _deadline_passed(deployment, counts, now):
        return "False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.'
    return "True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'


def _deadline_passed(deployment: Object, counts: Object, now: float) -> bool:
    """Nothing moved for progressDeadlineSeconds: no count changed, and the condition is that old."""
    before = deployment.get("status") or {}
    found = condition(deployment, "Progressing")
    moved = any((before.get(name) or 0) != count for name, count in counts.items())
    generation = deployment["metadata"].get("generation", 1)
    if found is None or moved or before.get("observedGeneration") != generation:
        return False
    if found["reason"] == "ProgressDeadlineExceeded":
        return True
    limit = deployment["spec"].get("progressDeadlineSeconds", PROGRESS_DEADLINE_SECONDS)
    started = found["reason"] == "ReplicaSetUpdated"
    return started and now - seconds_of(found["lastUpdateTime"]) > float(limit)
