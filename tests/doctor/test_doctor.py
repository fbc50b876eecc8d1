"""The doctor on a healthy target and on crippled ones."""

import copy
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from guard.adapters.kubernetes.client import KubernetesClient
from guard.api.crd import definitions
from guard.doctor.finding import Finding, Level
from guard.doctor.run import exit_code
from tests.doctor.conftest import GUARD_USER, Stand

pytestmark = pytest.mark.component

RBAC = "rbac.authorization.k8s.io"


def bad(findings: list[Finding]) -> list[Finding]:
    """What is neither well nor known before: no guard runs in these tests, and the disk is the machine's."""
    usual = ("guard", "artifacts")
    return [f for f in findings if f.level is not Level.OK and f.subject not in usual]


def test_a_healthy_target_has_no_findings_but_that_no_guard_runs(stand: Stand) -> None:
    findings = stand.findings()
    assert bad(findings) == []
    assert exit_code(findings) == 0
    said = "\n".join(f.message for f in findings)
    for words in (
        f"answers {GUARD_USER}",
        "may get, list, watch, patch changes in inference",
        "guards.tidegate.dev/v1alpha1 is served",
        "no rights outside of inference",
        "HTTPRoute chat gives the canary",
        "Secret chat-key has token",
        "stable pod chat-stable-1 serves m",
        "gateway pod traefik-1 can be read",
    ):
        assert words in said


Cripple = Callable[[Stand], None]


def _take(resource: str, verb: str, namespace: str = "inference") -> Cripple:
    def change(rules: list[dict[str, Any]]) -> None:
        for rule in rules:
            if resource in rule["resources"] and verb in rule["verbs"]:
                rule["verbs"].remove(verb)

    return lambda stand: stand.edit_role(change, namespace)


def _without(path: str) -> Cripple:
    return lambda stand: httpx.delete(stand.cluster.url + path).raise_for_status() and None


def _guard(**target: Any) -> Cripple:
    def cripple(stand: Stand) -> None:
        guard = copy.deepcopy(stand.guard)
        for key, value in target.items():
            guard["spec"]["target"][key] |= value
        stand.cluster.apply([guard])

    return cripple


def _gateway_url(url: str) -> Cripple:
    def cripple(stand: Stand) -> None:
        guard = copy.deepcopy(stand.guard)
        guard["spec"]["signals"]["gateway"]["url"] = url
        stand.cluster.apply([guard])

    return cripple


def _log(line: str) -> Cripple:
    def cripple(stand: Stand) -> None:
        stand.log.write_text(f"{line}\n")

    return cripple


INFERENCE = "namespaces/inference"

PROBLEMS: dict[str, tuple[Cripple, str, str]] = {
    "weights may not be moved": (
        _take("httproutes", "patch"),
        "may not patch httproutes in inference, needed to move the weights",
        "daemon.yaml",
    ),
    "the lease may not be renewed": (
        _take("leases", "update"),
        "may not update leases in inference",
        "daemon.yaml",
    ),
    "the gateway's pods may not be found": (
        _take("endpointslices", "list", "gateway"),
        "may not list endpointslices in gateway",
        "daemon.yaml",
    ),
    "a kind is not defined": (
        _without("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/changes.tidegate.dev"),
        "changes.tidegate.dev/v1alpha1 is not served",
        "kubectl apply -f deploy/crds.yaml",
    ),
    "the route is gone": (
        _without(f"/apis/gateway.networking.k8s.io/v1/{INFERENCE}/httproutes/chat"),
        "its route cannot be used",
        "docs/guard.md",
    ),
    "the route has no such backend": (
        _guard(canary={"service": "chat-canaries"}),
        "its route cannot be used",
        "docs/guard.md",
    ),
    "the workload is gone": (
        _without(f"/apis/apps/v1/{INFERENCE}/deployments/chat-canary"),
        "Deployment chat-canary (canary) cannot be read",
        "target.canary.workload",
    ),
    "nothing serves": (
        _without(f"/apis/discovery.k8s.io/v1/{INFERENCE}/endpointslices/chat-stable-1"),
        "Service chat-stable (stable) has no ready endpoint",
        "kubectl describe service chat-stable",
    ),
    "the runtime does not answer": (
        lambda stand: stand.runtime.close(),
        "stable pod chat-stable-1 cannot be asked",
        "ask inside",
    ),
    "another model is served": (
        _guard(runtime={"models": ["n"]}),
        "stable pod chat-stable-1 does not serve n; it serves m",
        "target.runtime.models",
    ),
    "the Secret is gone": (
        _without(f"/api/v1/{INFERENCE}/secrets/chat-key"),
        "Secret chat-key gives no token",
        "kubectl create secret",
    ),
    "the Secret has another key": (
        _guard(auth={"secretRef": {"name": "chat-key", "key": "key"}}),
        "Secret chat-key has no key 'key'; it has token",
        "kubectl create secret",
    ),
    "the Secret may not be read": (
        _guard(auth={"secretRef": {"name": "other-key", "key": "token"}}),
        "Secret other-key may not be read",
        "resourceNames: [other-key]",
    ),
    "the gateway does not answer": (
        lambda stand: stand.gateway.close(),
        "the metrics of gateway pod traefik-1 cannot be read",
        "ask inside",
    ),
    "the gateway's URL names a port that is none": (
        _gateway_url("http://traefik.gateway:9101/metrics"),
        "no ready endpoint behind http://traefik.gateway:9101/metrics",
        "signals.gateway.url",
    ),
    "the Guard contradicts itself": (
        _guard(canary={"service": "chat-stable"}),
        "stable.service and canary.service are the same",
        "tidegate config schema guard",
    ),
}


@pytest.mark.parametrize(("cripple", "message", "remedy"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_what_stops_a_guard_is_a_problem_with_its_remedy(
    stand: Stand, cripple: Cripple, message: str, remedy: str
) -> None:
    cripple(stand)
    findings = stand.findings()
    problems = [f for f in findings if f.level is Level.PROBLEM]
    assert any(message in f.message and remedy in str(f.remedy) for f in problems), problems
    assert exit_code(findings) == 1


def _as_admin(stand: Stand) -> None:
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"}
    subject = {"kind": "ServiceAccount", "name": "tidegate-guard", "namespace": "inference"}
    head = {"apiVersion": f"{RBAC}/v1", "metadata": {"name": "admin"}}
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    binding = {"kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]}
    stand.cluster.apply([{**head, "kind": "ClusterRole", "rules": [rule]}, {**head, **binding}])


def _reads_the_gateways_secrets(stand: Stand) -> None:
    def change(rules: list[dict[str, Any]]) -> None:
        rules.append({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]})

    stand.edit_role(change, "gateway")


WARNINGS: dict[str, tuple[Cripple, str]] = {
    "the access log may not be read": (
        _take("pods/log", "get", "gateway"),
        "the access log of gateway pod traefik-1 may not be read",
    ),
    "the access log is no JSON": (
        _log("GET / 200"),
        "the access log of gateway pod traefik-1 has no request",
    ),
    "the gateway does not count by Service": (
        lambda stand: stand.gateway.answers.update({"/metrics": "go_goroutines 9\n"}),
        "count no requests to any Service",
    ),
    "the runtime has no metrics": (
        lambda stand: stand.runtime.answers.pop("/metrics") and None,
        "answers 404 at /metrics",
    ),
    "cluster-admin": (
        _as_admin,
        f"{GUARD_USER} may get secrets, list secrets, create pods/exec, create pods, delete deployments, "
        "create rolebindings, patch deployments, patch httproutes in all namespaces",
    ),
    "another namespace's Secrets": (_reads_the_gateways_secrets, "may get secrets in gateway"),
}


@pytest.mark.parametrize(("cripple", "message"), WARNINGS.values(), ids=WARNINGS.keys())
def test_what_a_guard_can_live_with_is_a_warning_with_its_remedy(
    stand: Stand, cripple: Cripple, message: str
) -> None:
    cripple(stand)
    findings = stand.findings()
    (found,) = bad(findings)
    assert message in found.message
    assert (found.level, bool(found.remedy)) == (Level.WARNING, True)
    assert exit_code(findings) == 0


def test_a_guard_that_only_advises_does_not_miss_the_right_to_act(stand: Stand) -> None:
    stand.cluster.apply([stand.guard | {"spec": stand.guard["spec"] | {"enforcement": "Advise"}}])
    _take("httproutes", "patch")(stand)
    (found,) = bad(stand.findings())
    assert found.level is Level.WARNING
    assert "once a Guard enforces" in found.message


def test_an_older_definition_is_named_by_the_fields_that_it_would_drop(stand: Stand) -> None:
    older = next(d for d in definitions() if d["metadata"]["name"] == "guards.tidegate.dev")
    schema = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    del schema["drain"], schema["steps"]["items"]["properties"]["minRequests"]
    stand.cluster.apply([older])
    found = next(f for f in stand.findings(user=None) if f.level is Level.PROBLEM)
    assert "it lacks spec.steps[].minRequests, spec.drain" in found.message


def test_a_clock_that_is_wrong_is_told_by_how_much(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KubernetesClient, "server_time", lambda _: time.time() - 300)
    (found,) = bad(stand.findings())
    assert found.subject == "clock"
    assert "differ by 299 s" in found.message or "differ by 300 s" in found.message


def test_a_guard_that_leads_is_named(stand: Stand) -> None:
    renewed = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    spec = {"holderIdentity": "guard-0", "leaseDurationSeconds": 9, "renewTime": renewed}
    metadata = {"name": "tidegate-guard", "namespace": "inference"}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
    stand.cluster.apply([lease | {"spec": spec}])
    assert any(f.message == "guard-0 leads in inference" for f in stand.findings())

    stand.cluster.apply([lease | {"spec": spec | {"renewTime": "2020-01-01T00:00:00.000000Z"}}])
    assert any("no guard leads in inference; guard-0 was last heard" in f.message for f in stand.findings())


def test_evidence_that_cannot_be_written_is_a_problem(stand: Stand) -> None:
    stand.artifacts.write_text("a file")
    stand.artifacts = stand.artifacts / "evidence"
    found = next(f for f in stand.findings() if f.subject == "artifacts")
    assert found.level is Level.PROBLEM
    assert "--artifacts DIR" in str(found.remedy)


def test_a_guard_that_is_not_there_is_told_with_those_that_are(stand: Stand) -> None:
    found = next(f for f in stand.findings(guard="chart") if f.level is Level.PROBLEM)
    assert "there is no Guard chart in inference; there is: chat" in found.message


def test_no_finding_holds_a_secret(stand: Stand) -> None:
    _guard(auth={"secretRef": {"name": "chat-key", "key": "key"}})(stand)
    for user in (GUARD_USER, None):
        assert not [f for f in stand.findings(user) if "hunter2" in f"{f}" or "aHVudGVy" in f"{f}"]


def test_the_doctor_changes_nothing(stand: Stand) -> None:
    stand.cluster.clear_requests()
    stand.findings()
    written = [r.path for r in stand.cluster.requests if r.writes]
    assert {path.rsplit("/", 1)[1] for path in written} == {"selfsubjectaccessreviews", "selfsubjectreviews"}
    assert not stand.artifacts.exists()
