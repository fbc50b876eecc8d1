"""Events about our own objects, for `kubectl describe` and `kubectl get events`.

An Event that cannot be written never stops anything: the timeline in the Change's status has it, too.
"""

import uuid
from datetime import UTC, datetime

from guard.adapters.kubernetes.client import EVENTS, KubernetesClient, Object
from guard.errors import TidegateError


def emit(client: KubernetesClient, regarding: Object, reason: str, note: str, warning: bool = False) -> bool:
    """Writes one Event about an object; False when the server did not take it."""
    metadata = regarding["metadata"]
    body = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{uuid.uuid4().hex[:12]}",
            "namespace": metadata["namespace"],
        },
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
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
    except TidegateError:
        return False
    return True
