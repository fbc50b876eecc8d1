"""Why a call is refused: one name for each rule, used in answers, audit records and alerts.

Owns also the only way to weaken the gateway: `Refuse` with rules that it lets pass. Those exist so that a
test can show that a suite notices; a configuration has them by `TESTS_ONLY_deliberately_weak_to` alone.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """The rule that a refused request broke."""

    NO_APPROVAL = "no-approval"
    TOO_FEW_APPROVALS = "too-few-approvals"
    FORGED_APPROVAL = "forged-approval"
    REPLAYED_APPROVAL = "replayed-approval"
    EXPIRED_APPROVAL = "expired-approval"
    SELF_GIVEN_APPROVAL = "self-given-approval"
    SWAPPED_ARGUMENT = "swapped-argument"
    BORROWED_APPROVAL = "borrowed-approval"
    GIT_EXECUTES = "git-executes"
    GIT_WRITES = "git-writes"
    GIT_ELSEWHERE = "git-elsewhere"
    KUBECTL_WRITES = "kubectl-writes"
    KUBECTL_ELSEWHERE = "kubectl-elsewhere"
    TESTS_ESCAPE = "tests-escape"
    SPOOFED_PRINCIPAL = "spoofed-principal"
    INJECTED_TEXT = "injected-text"
    WORKING_FOLDER = "working-folder"
    AMBIGUOUS_JSON = "ambiguous-json"
    DISGUISED_NAME = "disguised-name"
    AUDIT_SUPPRESSION = "audit-suppression"
    # Refusals that no switch lifts.
    NOT_ALLOWED = "not-allowed"
    MALFORMED = "malformed"
    DENY_ALL = "deny-all"


UNSWITCHABLE = frozenset({Rule.NOT_ALLOWED, Rule.MALFORMED, Rule.DENY_ALL})


class Refused(Exception):
    """The request breaks a rule; `str()` is the reason, which may quote the caller's text."""

    def __init__(self, rule: Rule, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


@dataclass(frozen=True)
class Refuse:
    """`refuse(rule, reason)` raises `Refused`; returns only where a test has switched the rule off."""

    weak_to: Collection[Rule] = ()

    def __call__(self, rule: Rule, reason: str) -> None:
        if rule not in self.weak_to:
            raise Refused(rule, reason)
