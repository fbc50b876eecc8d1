"""A pod's status from the statuses of its containers: phase and conditions, by the kubelet's rules. Pure."""

from collections.abc import Sequence

from guard.adapters.kubernetes.client import Object
from guard.testing.pods.objects import timestamp, with_conditions


def pod_status(
    before: Object,
    address: str,
    init: Sequence[Object],
    main: Sequence[Object],
    finished: bool,
    started_at: float,
    now: float,
) -> Object:
    """The whole status to write.

    Args:
        before: The status that was written last; its conditions' times are kept where nothing changed.
        init, main: containerStatuses; the main containers' are complete from the beginning.
        finished: No container runs or will be started again.
        started_at, now: Unix seconds.
    """
    initialized = all((s["state"].get("terminated") or {}).get("exitCode") == 0 for s in init)
    unready = [s["name"] for s in main if not s["ready"]]
    why = "PodCompleted" if finished else "ContainersNotReady"
    ready = ("False", why, f"containers with unready status: [{' '.join(unready)}]")
    if not unready:
        ready = ("True", "", "")
    not_yet = ("False", "ContainersNotInitialized", "containers with incomplete status")
    conditions = {
        "PodScheduled": ("True", "", ""),
        "Initialized": ("True", "", "") if initialized else not_yet,
        "ContainersReady": ready,
        "Ready": ready,
    }
    status = {
        "phase": _phase([*init, *main], main, finished),
        "podIP": address,
        "podIPs": [{"ip": address}],
        "hostIP": "127.0.0.1",
        "startTime": timestamp(started_at),
        "conditions": with_conditions(before.get("conditions") or [], conditions, now),
        "containerStatuses": list(main),
    }
    return status | ({"initContainerStatuses": list(init)} if init else {})


def _phase(everything: Sequence[Object], main: Sequence[Object], finished: bool) -> str:
    if finished:
        codes = [(s["state"].get("terminated") or {}).get("exitCode") for s in everything]
        return "Succeeded" if all(code == 0 for code in codes) else "Failed"
    ever_started = [s for s in main if s["lastState"] or "waiting" not in s["state"]]
    return "Running" if len(ever_started) == len(main) else "Pending"
