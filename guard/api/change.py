"""The Change: one change going through a Guard, and the plan frozen when it was opened.

The plan is a copy, so that what was approved and judged stays fixed when the Guard or the workload moves.
Its digest covers what is rolled out and how it is judged; not replicas, not server-side defaults.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ConfigDict

from guard.api.fields import Strict
from guard.api.guard import GuardSpec, Name

Risk = Literal["R0", "R1", "R2", "R3"]
Action = Literal["Promote", "RollBack", "Hold", "Resume", "Close"]


class Plan(Strict):
    """What was opened: the Guard's spec, both pod templates, and the digest of it all."""

    model_config = ConfigDict(protected_namespaces=())

    digest: str
    guard: GuardSpec
    canary_template: Mapping[str, Any]
    stable_template: Mapping[str, Any]


class ChangeSpec(Strict):
    """One change through a Guard. Once it exists, only `action` may be edited."""

    guard: Name
    ticket: str
    risk: Risk = "R1"
    requested_by: str
    plan: Plan
    action: Action | None = None


def freeze(guard: GuardSpec, canary_template: Mapping[str, Any], stable_template: Mapping[str, Any]) -> Plan:
    """The plan of a change that starts now."""
    return Plan(
        digest=plan_digest(guard, canary_template),
        guard=guard,
        canary_template=canary_template,
        stable_template=stable_template,
    )


def plan_digest(guard: GuardSpec, canary_template: Mapping[str, Any]) -> str:
    """`sha256:` over canonical JSON of the canary's pod template, steps, objectives, suites and route.

    Without defaults, so that a field which a later version adds changes no plan that is under way.
    """
    spec = guard.model_dump(by_alias=True, mode="json", exclude_defaults=True)
    suites = spec.get("suites", {})
    suites.pop("schedule", None)  # it probes the stable at all times; no Change is judged by it
    covered = {
        "template": canary_template,
        "steps": spec["steps"],
        "objectives": spec.get("objectives", []),
        "suites": suites,
        "route": spec["target"]["route"],
    }
    return _digest(covered)


def frozen_digest(spec: ChangeSpec) -> str:
    """`sha256:` over all of a Change's spec but `action`, without defaults: what nobody may edit."""
    return _digest(spec.model_dump(by_alias=True, mode="json", exclude_defaults=True, exclude={"action"}))


def _digest(document: Mapping[str, Any]) -> str:
    # No floats occur in these documents, so sorted keys without spaces are RFC 8785's canonical form
    # for the ASCII keys that Kubernetes allows.
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
