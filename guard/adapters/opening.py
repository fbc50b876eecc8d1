"""Opening a Change: wait until the canary's template is the applied one, and freeze the plan.

Owns the reading of Guard and Deployments for it. Refuses to start anything: the guard daemon does.
"""

import re
import time
from typing import Any

from guard.adapters.kubernetes.client import DEPLOYMENTS, GUARDS, KubernetesClient, Object
from guard.api.change import Plan, freeze
from guard.api.fields import parse
from guard.api.guard import GuardSpec
from guard.errors import ConfigurationError, NotFoundError

POLL_SECONDS = 0.2


def freeze_plan(client: KubernetesClient, namespace: str, guard: str, timeout_seconds: float) -> Plan:
    """The plan of a change that starts now.

    Raises:
        ConfigurationError: The Guard or a Deployment is missing or not as it must be, the canary has no
            replicas, or the controller did not see its newest template in time.
    """
    found = _named(client, GUARDS, namespace, guard, "Guard")
    spec = parse(GuardSpec, found["spec"], f"Guard {guard}: spec")
    canary = _observed(client, namespace, spec.target.canary.workload.name, timeout_seconds)
    if not canary["spec"].get("replicas", 1):
        name = canary["metadata"]["name"]
        raise ConfigurationError(
            f"Deployment {name} has 0 replicas; apply the canary with its replicas first"
        )
    stable = _named(client, DEPLOYMENTS, namespace, spec.target.stable.workload.name, "Deployment")
    return freeze(spec, canary["spec"]["template"], stable["spec"]["template"])


def change_name(ticket: str) -> str:
    """A ticket as an object's name: `OPS-1234` -> `ops-1234`."""
    name = re.sub(r"[^a-z0-9]+", "-", ticket.lower()).strip("-")
    if not name:
        raise ConfigurationError(f"no name can be made of the ticket {ticket!r}; pass --name")
    return name


def change_document(
    name: str, guard: str, ticket: str, risk: str, requested_by: str, plan: Plan
) -> dict[str, Any]:
    """The Change as it is created."""
    return {
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "Change",
        "metadata": {"name": name},
        "spec": {
            "guard": guard,
            "ticket": ticket,
            "risk": risk,
            "requestedBy": requested_by,
            "plan": plan.to_document(),
        },
    }


def _observed(client: KubernetesClient, namespace: str, name: str, timeout_seconds: float) -> Object:
    """The Deployment, once its controller has seen the newest generation."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        deployment = _named(client, DEPLOYMENTS, namespace, name, "Deployment")
        seen = (deployment.get("status") or {}).get("observedGeneration", 0)
        if seen >= deployment["metadata"].get("generation", 1):
            return deployment
        if time.monotonic() >= deadline:
            raise ConfigurationError(f"Deployment {name}: its controller has not seen the newest template")
        time.sleep(POLL_SECONDS)


def _named(client: KubernetesClient, resource: Any, namespace: str, name: str, kind: str) -> Object:
    try:
        return client.get(resource, namespace, name)
    except NotFoundError as error:
        there = ", ".join(i["metadata"]["name"] for i in client.list(resource, namespace)["items"]) or "none"
        raise ConfigurationError(f"{kind} {name} is not in namespace {namespace}; there: {there}") from error
