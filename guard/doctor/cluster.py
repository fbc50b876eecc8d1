"""The cluster as a whole: its definitions, its clock, and whether a guard is at work."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from guard.adapters.kubernetes.client import CUSTOM_RESOURCE_DEFINITIONS, LEASES, KubernetesClient, Object
from guard.api.crd import GROUP, VERSION, definitions
from guard.doctor.finding import Finding, ok, problem, unknown, warning
from guard.errors import NotFoundError, TidegateError

GUARD_LEASE = "tidegate-guard"
CLOCK_SECONDS = 2.0  # the API server tells whole seconds
_APPLY = "kubectl apply -f deploy/crds.yaml"
_GATEWAY = ("gateway.networking.k8s.io", "v1", "httproutes")
_NAMED_PATHS = 6


def examine_definitions(client: KubernetesClient) -> Iterator[Finding]:
    """Whether our kinds and HTTPRoute are served, in our version and with all our fields."""
    served = _served(client, GROUP, VERSION)
    for definition in definitions():
        plural = definition["spec"]["names"]["plural"]
        if served is None or plural not in served:
            yield problem("definitions", f"{plural}.{GROUP}/{VERSION} is not served", _APPLY)
        elif f"{plural}/status" not in served:
            yield problem("definitions", f"{plural}.{GROUP} has no status subresource", _APPLY)
        else:
            yield _compared(client, definition)
    group, version, plural = _GATEWAY
    if plural in (_served(client, group, version) or ()):
        yield ok("definitions", f"{plural}.{group}/{version} is served")
    else:
        remedy = "install the Gateway API, standard channel, 1.5 or newer"
        yield problem("definitions", f"{plural}.{group}/{version} is not served", remedy)


def examine_clock(client: KubernetesClient) -> Finding:
    """This machine's clock against the API server's."""
    before = time.time()
    told = client.server_time()
    after = time.time()
    if told is None:
        return unknown("clock", "the API server does not tell its time", "compare the nodes' clocks by hand")
    # It was sent between before and after, in the second that begins at `told`.
    ahead = max(before - (told + 1), told - after, 0.0)
    if ahead <= CLOCK_SECONDS:
        return ok("clock", "this clock and the API server's agree")
    remedy = "synchronise the clocks (chrony, NTP): how long a rollback took would be wrong by as much"
    return warning("clock", f"this clock and the API server's differ by {ahead:.0f} s", remedy)


def examine_lease(client: KubernetesClient, namespace: str) -> Finding:
    """Whether a guard leads in the namespace now."""
    try:
        spec = client.get(LEASES, namespace, GUARD_LEASE)["spec"]
        now = client.server_time() or time.time()
    except NotFoundError:
        return warning(
            "guard", f"no guard has ever led in {namespace}", f"start: tidegate guard -n {namespace}"
        )
    except TidegateError as error:
        return unknown("guard", f"its Lease cannot be read: {error}", "grant get on leases")
    holder, renewed = spec.get("holderIdentity"), _unix(spec.get("renewTime"))
    silent = now - renewed
    if holder and silent <= 2 * (spec.get("leaseDurationSeconds") or 0) + CLOCK_SECONDS:
        return ok("guard", f"{holder} leads in {namespace}")
    message = f"no guard leads in {namespace}; {holder or 'the last one'} was last heard {silent:.0f} s ago"
    return warning("guard", message, "look at its pod: kubectl get pods -l app=tidegate-guard, and its log")


def _served(client: KubernetesClient, group: str, version: str) -> set[str] | None:
    try:
        return client.served(group, version)
    except NotFoundError:
        return None


def _compared(client: KubernetesClient, ours: Object) -> Finding:
    name = ours["metadata"]["name"]
    try:
        theirs = client.get(CUSTOM_RESOURCE_DEFINITIONS, None, name)
    except TidegateError:
        return ok(
            "definitions", f"{name}/{VERSION} is served; its fields were not compared: no right to read it"
        )
    lacking = _lacking(_schema(ours), _schema(theirs))
    if not lacking:
        return ok("definitions", f"{name}/{VERSION} is served with all fields")
    shown = ", ".join(lacking[:_NAMED_PATHS]) + (", ..." if len(lacking) > _NAMED_PATHS else "")
    return problem("definitions", f"{name} in the cluster is another version's: it lacks {shown}", _APPLY)


def _schema(definition: Object) -> Object:
    versions = definition["spec"]["versions"]
    version: Object = next((v for v in versions if v["name"] == VERSION), {})
    schema: Object = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    return schema


def _lacking(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Paths of fields that our schema has and theirs would drop."""
    known = theirs.get("properties") or {}
    if theirs.get("x-kubernetes-preserve-unknown-fields") and not known:
        return []
    found: list[str] = []
    for name, part in (ours.get("properties") or {}).items():
        here = f"{path}.{name}" if path else name
        found += _lacking(part, known[name], here) if name in known else [here]
    if "items" in ours:
        found += _lacking(ours["items"], theirs.get("items") or {}, f"{path}[]")
    return found


def _unix(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0
