"""Job -> Pods: so many at once until enough have succeeded or too many failed.

Like kube-controller-manager's job controller for `completionMode: NonIndexed`; knows no process.
"""

import secrets
from collections.abc import Sequence

from guard.adapters.kubernetes.client import JOBS, PODS, KubernetesClient, Object
from guard.testing.pods.objects import (
    NODE,
    Snapshot,
    condition,
    differs,
    is_finished,
    is_ready,
    is_terminating,
    key,
    owned,
    owner_reference,
    phase,
    seconds_of,
    timestamp,
    with_conditions,
)

BACKOFF_LIMIT = 6  # the API's default
MAX_BACKOFF_SECONDS = 360.0

Ending = tuple[str, str, str]  # condition type, reason, message


def reconcile_job(
    client: KubernetesClient, job: Object, state: Snapshot, now: float, backoff_seconds: float
) -> None:
    """Create the pods that are missing, or delete those left when the Job is over; write the status."""
    pods = owned(state.pods, job)
    ended = _recorded_end(job)
    ending = None if ended else _ending(job, pods, now)
    if ended or ending:
        _delete_active(client, pods)
    else:
        _create_missing(client, job, pods, now, backoff_seconds)
    if not ended:
        _write_status(client, job, pods, ending, now)


def _counts(pods: Sequence[Object]) -> tuple[list[Object], int, int]:
    """(pods at work, succeeded, failed); a deleted pod that had not finished is none of them."""
    active = [p for p in pods if not is_finished(p) and not is_terminating(p)]
    return (
        active,
        sum(phase(p) == "Succeeded" for p in pods),
        sum(phase(p) == "Failed" for p in pods),
    )


def _completions(job: Object) -> int:
    spec = job["spec"]
    return int(spec.get("completions") or spec.get("parallelism") or 1)


def _recorded_end(job: Object) -> bool:
    found = (condition(job, kind) for kind in ("Complete", "Failed"))
    return any(c is not None and c["status"] == "True" for c in found)


def _ending(job: Object, pods: Sequence[Object], now: float) -> Ending | None:
    _, succeeded, failed = _counts(pods)
    if succeeded >= _completions(job):
        return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    if failed + _restarts(job, pods) > int(job["spec"].get("backoffLimit", BACKOFF_LIMIT)):
        return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    limit = job["spec"].get("activeDeadlineSeconds")
    started = (job.get("status") or {}).get("startTime")
    if limit is not None and started and now - seconds_of(started) >= float(limit):
        return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def _restarts(job: Object, pods: Sequence[Object]) -> int:
    """Restarts in place count as failures where the pods restart on failure."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return 0
    statuses = [s for p in pods for s in (p.get("status") or {}).get("containerStatuses") or []]
    return sum(int(s.get("restartCount", 0)) for s in statuses)


def _create_missing(
    client: KubernetesClient, job: Object, pods: Sequence[Object], now: float, backoff_seconds: float
) -> None:
    active, succeeded, failed = _counts(pods)
    if job["spec"].get("suspend") or _resting(pods, failed, now, backoff_seconds):
        return
    wanted = min(int(job["spec"].get("parallelism", 1)), _completions(job) - succeeded)
    for _ in range(wanted - len(active)):
        client.create(PODS, key(job)[0], _pod(job))


def _resting(pods: Sequence[Object], failed: int, now: float, backoff_seconds: float) -> bool:
    """Whether the last failure is too recent to try again: the pause doubles with each failure."""
    if not failed:
        return False
    pause = min(backoff_seconds * 2 ** (failed - 1), MAX_BACKOFF_SECONDS)
    ends = [seconds_of(c["lastTransitionTime"]) for p in pods if (c := condition(p, "Ready"))]
    return bool(ends) and now - max(ends) < pause


def _pod(job: Object) -> Object:
    template = job["spec"]["template"]
    metadata = template.get("metadata") or {}
    name = job["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **metadata,
            "name": f"{name}-{secrets.token_hex(3)[:5]}",
            "namespace": key(job)[0],
            "labels": {**(metadata.get("labels") or {}), "batch.kubernetes.io/job-name": name},
            "ownerReferences": [owner_reference("batch/v1", "Job", job)],
        },
        "spec": {**template["spec"], "nodeName": NODE},
    }


def _delete_active(client: KubernetesClient, pods: Sequence[Object]) -> None:
    for pod in _counts(pods)[0]:
        client.delete(PODS, *key(pod))


def _write_status(
    client: KubernetesClient, job: Object, pods: Sequence[Object], ending: Ending | None, now: float
) -> None:
    active, succeeded, failed = _counts(pods)
    before = job.get("status") or {}
    status: Object = {
        "startTime": before.get("startTime") or timestamp(now),
        "active": 0 if ending else len(active),
        "ready": 0 if ending else sum(map(is_ready, active)),
        "succeeded": succeeded,
        "failed": failed + (len(active) if ending and ending[0] == "Failed" else 0),
    }
    if ending:
        kind, reason, message = ending
        # The API wants the target condition beside the final one.
        target = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[kind]
        outcome = ("True", reason, message)
        status["conditions"] = with_conditions([], {target: outcome, kind: outcome}, now)
        if kind == "Complete":
            status["completionTime"] = timestamp(now)
    if differs(before, status):
        client.patch_merge(JOBS, *key(job), {"status": status}, subresource="status")
