"""Who asked for what stands in a Change's `spec.action`, as far as the object tells.

The name is what the asker's own command wrote beside it, and no proof: the API server's audit log is.
Refuses to act on it.
"""

from guard.adapters.kubernetes.client import Object

ASKED_BY = "tidegate.dev/asked-by"
COMMAND = "tidegate"  # the manager under which our own commands write
_UNKNOWN = "an operator"


def who(change: Object) -> str:
    """`ann`; `an operator (kubectl-patch)` where only the program is known; `an operator` where nothing is.

    A name that an earlier command left behind says nothing of an action that another program wrote since.
    """
    metadata = change["metadata"]
    action, _, name = str((metadata.get("annotations") or {}).get(ASKED_BY, "")).partition(" ")
    managers = [m.get("manager", "") for m in metadata.get("managedFields") or [] if _wrote_action(m)]
    others = [manager for manager in managers if manager != COMMAND]
    if name and action == change["spec"].get("action") and not others:
        return name
    return f"{_UNKNOWN} ({others[-1]})" if others else _UNKNOWN


def _wrote_action(manager: Object) -> bool:
    spec = (manager.get("fieldsV1") or {}).get("f:spec") or {}
    return "f:action" in spec
