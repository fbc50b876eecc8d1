"""Events about our own objects, for `kubectl describe` and `kubectl get events`.

An Event that cannot be written never stops anything: the timeline in the Change's status has it, too. Its
name follows from what it says, so that a successor who says it again says it once.
"""

import hashlib

from guard.adapters.kubernetes.client import EVENTS, KubernetesClient, Object
from guard.errors import ConflictError, TidegateError


def emit(
    client: KubernetesClient, regarding: Object, reason: str, note: str, at: str, warning: bool = False
) -> bool:
    """Writes one Event about an object, if it is not there yet; False when the server did not take it.

    Args:
        at: When it happened, as a MicroTime.
    """
    metadata = regarding["metadata"]
    identity = hashlib.sha256("\0".join((metadata["uid"], at, reason, note)).encode()).hexdigest()
    body = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{identity[:12]}",
            "namespace": metadata["namespace"],
        },
        "eventTime": at,
        "reportingController": "tidegate.dev/guard",
        "reportingInstance": "guard",
        "action": reason,
        "reason": reason,
        "note": note[:1024],  # the API's limit
        "type": "Warning" if warning else "Normal",
        "regarding": {
            "apiVersion": regarding["apiVersion"],
            "kind": regarding["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
    }
    try:
        client.create(EVENTS, metadata["namespace"], body)
    except ConflictError:
        return True
    except TidegateError:
        return False
    return True
