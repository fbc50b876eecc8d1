"""Whether a call may run, by the Cedar policies: principal, risk, tool, and who approved.

Owns the translation into Cedar's terms. The approvals are verified before; here they are only counted.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import cedarpy

from stack.policy.calls import Risk
from stack.policy.principals import Principals

_HERE = Path(__file__).parent


class PolicyError(Exception):
    """The policies do not parse, or do not fit the schema."""


@dataclass(frozen=True)
class Ruling:
    """Allowed or not, and the `@id` of the policies that said so."""

    allowed: bool
    policies: tuple[str, ...]


class Policies:
    """One file of policies, validated when it is read."""

    def __init__(self, principals: Principals, file: Path | None = None) -> None:
        file = file or _HERE / "policies.cedar"
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(f"{file}: {error}") from error
        schema = (_HERE / "policies.cedarschema").read_text(encoding="utf-8")
        found = cedarpy.validate_policies(text, schema)
        if not found.validation_passed:
            raise PolicyError(f"{file}: " + "; ".join(str(error) for error in found.errors))
        self._policies = cedarpy.PolicySet.from_str(text)
        self._schema = cedarpy.Schema.from_str(schema)
        self._entities = [
            {
                "uid": _user(principal.name),
                "attrs": {},
                "parents": [{"type": "Gateway::Role", "id": role} for role in sorted(principal.roles)],
            }
            for principal in principals
        ]

    def decide(self, principal: str, risk: Risk, tool: str, approvers: Collection[str]) -> Ruling:
        """Anything but a plain Allow is no permission, an error of evaluation too."""
        context = {
            "approvers": [{"__entity": _user(name)} for name in sorted(approvers)],
            "approverCount": len(approvers),
        }
        request = {
            "principal": f'Gateway::User::"{principal}"',
            "action": f'Gateway::Action::"{risk}"',
            "resource": f'Gateway::Tool::"{tool}"',
            "context": context,
        }
        answer = cedarpy.is_authorized(request, self._policies, self._entities, self._schema)
        named = answer.diagnostics.id_annotations_by_reason.values()
        allowed = answer.decision is cedarpy.Decision.Allow and not answer.diagnostics.errors
        return Ruling(allowed, tuple(sorted(named)))


def _user(name: str) -> dict[str, str]:
    return {"type": "Gateway::User", "id": name}
