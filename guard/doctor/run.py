"""The whole examination, in the order in which a guard meets what is examined."""

from collections.abc import Iterator
from pathlib import Path

from guard.adapters.kubernetes.client import GUARDS, NAMESPACES, KubernetesClient, Object
from guard.api.guard import GuardSpec
from guard.doctor.artifacts import examine_artifacts
from guard.doctor.cluster import examine_clock, examine_definitions, examine_lease
from guard.doctor.finding import Finding, Level, ok, problem, unknown, warning
from guard.doctor.rights import excess_rights, missing_rights, who
from guard.doctor.target import examine_guard, gateway_namespace, read_spec, refused
from guard.errors import ConfigurationError, TidegateError, UnauthorizedError

SYSTEM_NAMESPACES = ("default", "kube-system")


def examine(
    client: KubernetesClient, namespace: str, guard: str | None, artifacts: Path
) -> Iterator[Finding]:
    """Every finding, as it is found.

    Args:
        guard: The only Guard to look at; None for all of the namespace.
    Raises:
        TidegateError: The API server did not answer: nothing could be looked at.
    """
    yield examine_clock(client)  # first, because it needs no rights: what fails here fails everywhere
    user = who(client)
    yield ok("api", f"{client.url} answers {user or 'a caller whom it does not name'}")
    yield from examine_definitions(client)
    yield from _namespace(client, namespace)
    guards, faults = _guards(client, namespace, guard)
    yield from faults
    specs: dict[str, GuardSpec] = {}
    for found in guards:
        try:
            specs[found["metadata"]["name"]] = read_spec(found)
        except ConfigurationError as error:
            yield refused(found, error)
    gateways = {where for spec in specs.values() if (where := gateway_namespace(spec))}
    enforcing = not specs or any(spec.enforcement == "Enforce" for spec in specs.values())
    yield from missing_rights(client, namespace, gateways, enforcing=enforcing)
    elsewhere = {*gateways, *SYSTEM_NAMESPACES} - {namespace}
    yield from excess_rights(client, namespace, elsewhere, user)
    yield examine_lease(client, namespace)
    yield examine_artifacts(artifacts)
    for name, spec in specs.items():
        yield from examine_guard(client, namespace, name, spec)


def exit_code(findings: list[Finding]) -> int:
    """0 the guard can work, 1 something keeps it from working."""
    return 1 if any(finding.level is Level.PROBLEM for finding in findings) else 0


def _namespace(client: KubernetesClient, namespace: str) -> Iterator[Finding]:
    try:
        client.get(NAMESPACES, None, namespace)
    except UnauthorizedError:
        return  # a guard need not see it
    except TidegateError as error:
        yield problem("namespace", str(error), "name the Guards' namespace with -n NAME")


def _guards(
    client: KubernetesClient, namespace: str, wanted: str | None
) -> tuple[list[Object], list[Finding]]:
    try:
        guards = client.list(GUARDS, namespace)["items"]
    except TidegateError as error:
        return [], [
            unknown("guards", f"cannot be listed in {namespace}: {error}", "see definitions and rights")
        ]
    names = [guard["metadata"]["name"] for guard in guards]
    if wanted is not None and wanted not in names:
        there = ", ".join(names) or "none"
        message = f"there is no Guard {wanted} in {namespace}; there is: {there}"
        return [], [problem("guards", message, "kubectl apply it, or name another with --guard")]
    if not guards:
        return [], [
            warning("guards", f"there is none in {namespace}", "write one (docs/guard.md), or name -n")
        ]
    return [guard for guard in guards if wanted in (None, guard["metadata"]["name"])], []
