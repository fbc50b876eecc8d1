"""kubectl: which calls are allowed at which risk, and how it is started.

Read against kubectl 1.35. The cluster, the identity and the namespaces are the gateway's: every option that
changes one of them, or that reads or writes a file or a URL, stands in no form. Nor do Secrets.
"""

import re
from collections.abc import Sequence

from stack.policy.calls import Risk
from stack.policy.grammar import Form, is_one_of, risk_in
from stack.policy.rules import Refuse, Refused, Rule

_KIND = (
    r"(?:pods?|po|services?|svc|deployments?|deploy|replicasets?|rs|events?|configmaps?|cm|jobs?|endpoints"
    r"|endpointslices|httproutes?|gateways?|guards?|changes?)"
)
_NAME = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
_FIRST = rf"{_KIND}(?:/{_NAME})?"  # else a kind that is not listed, secrets, would pass as a name
_MORE = rf"{_KIND}/{_NAME}|{_NAME}"
_SELECTOR = r"[A-Za-z0-9./_-]+=[A-Za-z0-9._-]+(?:,[A-Za-z0-9./_-]+=[A-Za-z0-9._-]+)*"
_OUTPUT = r"json|yaml|wide|name"

_WRITES = ("--cache-dir", "--profile", "--profile-output", "--log-file", "--log-dir", "--edit", "--overwrite")
_ELSEWHERE_VERBS = frozenset({"config", "auth", "kustomize", "proxy", "port-forward", "cluster-info"})
_READING_VERBS = frozenset({"get", "describe", "logs", "version", "explain", "top"})


class Kubectl:
    """The forms for the namespaces that the gateway serves."""

    def __init__(self, namespaces: Sequence[str]) -> None:
        self._served = bool(namespaces)  # of no name, a form would allow the empty one: any namespace
        inside = "|".join(map(re.escape, namespaces))
        options, named = rf"--namespace=(?:{inside})", {"-n": inside, "--namespace": inside}
        chosen = named | {"-l": _SELECTOR, "--selector": _SELECTOR, "-o": _OUTPUT}
        read = rf"{options}|--selector={_SELECTOR}|-o(?:{_OUTPUT})|--output=(?:{_OUTPUT})|--show-labels"
        object_name = rf"{_KIND}/{_NAME}"
        workload = rf"(?:deployments?|deploy)/{_NAME}"
        self._forms = (
            Form(("get",), Risk.R1, read, chosen, _MORE, 1, 4, first=_FIRST),
            Form(("describe",), Risk.R1, options, named, _MORE, 1, 2, first=_FIRST),
            Form(
                ("logs",),
                Risk.R1,
                rf"{options}|--tail=\d{{1,5}}|--previous",
                named | {"-c": _NAME},
                _NAME,
                1,
                1,
            ),
            Form(("version",), Risk.R1, r"--client|--output=(?:json|yaml)"),
            Form(("rollout", "history"), Risk.R1, options, named, workload, 1, 1),
            Form(
                ("scale",),
                Risk.R2,
                rf"{options}|--replicas=\d{{1,3}}",
                named,
                workload,
                1,
                1,
                required=r"--replicas=\d{1,3}",
            ),
            Form(("rollout", "restart"), Risk.R2, options, named, workload, 1, 1),
            Form(("rollout", "undo"), Risk.R2, options, named, workload, 1, 1),
            Form(("delete",), Risk.R3, options, named, object_name, 1, 1),
        )

    def risk(self, argv: Sequence[str], refuse: Refuse) -> Risk:
        """The risk of the exact call; refuses what has no form."""
        if not self._served:
            raise Refused(
                Rule.NOT_ALLOWED, "this gateway has no such tool: no namespace is named for kubectl"
            )
        found = risk_in(self._forms, argv)
        if found is None:
            refuse(_why(argv), f"kubectl {list(argv)!r} is none of the allowed forms")
            return Risk.R0
        return found


def command(program: str, argv: Sequence[str], cache: str, namespace: str | None) -> list[str]:
    """In the gateway's namespace where the call names none: the kubeconfig's could be any."""
    chosen = [] if namespace is None else [f"--namespace={namespace}"]
    return [program, "--request-timeout=10s", f"--cache-dir={cache}", *chosen, *argv]


def _why(argv: Sequence[str]) -> Rule:
    if argv[0].casefold() != argv[0]:
        return Rule.DISGUISED_NAME
    options = [token for token in argv if token.startswith("-")]
    if any(is_one_of(option, _WRITES) for option in options):
        return Rule.KUBECTL_WRITES
    reading = argv[0] in _READING_VERBS or argv[0] in _ELSEWHERE_VERBS or argv[0].startswith("-")
    return Rule.KUBECTL_ELSEWHERE if reading else Rule.KUBECTL_WRITES
