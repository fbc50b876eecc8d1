"""kubectl against the double, as users and the reference stack call it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from guard.testing.cluster import FakeCluster
from tests.testing.cluster.api_client import Json
from tests.testing.cluster.documents import THINGS, deployment, thing

pytestmark = pytest.mark.real

KUBECTL = Path(sys.executable).parent / "kubectl"
Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(cluster: FakeCluster, tmp_path: Path) -> dict[str, str]:
    cluster.apply([THINGS])
    kubeconfig = cluster.write_kubeconfig(tmp_path / "kubeconfig")
    return {"KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}


@pytest.fixture
def kubectl(environment: dict[str, str]) -> Kubectl:
    """Runs kubectl; `ok=False` where it must fail."""

    def run(
        *arguments: str, ok: bool = True, stdin: Json | None = None
    ) -> "subprocess.CompletedProcess[str]":
        text = None if stdin is None else json.dumps(stdin)
        done = subprocess.run(
            [KUBECTL, *arguments],
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done

    return run


def _apply(kubectl: Kubectl, document: Json, *options: str) -> str:
    return kubectl("apply", *options, "-f", "-", stdin=document).stdout.strip()


def test_apply_creates_leaves_alone_and_configures(kubectl: Kubectl) -> None:
    body = deployment()
    assert _apply(kubectl, body) == "deployment.apps/web created"
    assert _apply(kubectl, body) == "deployment.apps/web unchanged"
    body["spec"]["template"]["spec"]["containers"].pop()
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "app:2"
    assert _apply(kubectl, body) == "deployment.apps/web configured"
    images = kubectl("get", "deploy", "web", "-o", "jsonpath={..image}").stdout
    assert images == "app:2"


def test_apply_refuses_a_misspelt_field_by_its_path(kubectl: Kubectl) -> None:
    body = deployment()
    body["spec"]["replcas"] = 2
    refused = kubectl("apply", "-f", "-", stdin=body, ok=False)
    assert 'unknown field "spec.replcas"' in refused.stderr
    refused = kubectl("apply", "-f", "-", stdin=thing("a", sise=1), ok=False)
    assert 'unknown field "spec.sise"' in refused.stderr


def test_server_side_apply_reports_conflicts(kubectl: Kubectl) -> None:
    body = deployment()
    assert (
        _apply(kubectl, body, "--server-side", "--field-manager=one")
        == "deployment.apps/web serverside-applied"
    )
    body["spec"]["replicas"] = 5
    refused = kubectl("apply", "--server-side", "--field-manager=two", "-f", "-", stdin=body, ok=False)
    assert 'conflict with "one": .spec.replicas' in refused.stderr
    _apply(kubectl, body, "--server-side", "--field-manager=two", "--force-conflicts")


def test_get_shows_columns_wide_and_yaml(kubectl: Kubectl) -> None:
    _apply(kubectl, thing("a", size=3))
    lines = kubectl("get", "th").stdout.splitlines()
    assert [line.split() for line in lines] == [["NAME", "SIZE", "READY"], ["a", "3"]]
    assert kubectl("get", "things", "-o", "wide").stdout.splitlines()[1].split() == ["a", "3", "safe"]
    shown = yaml.safe_load(kubectl("get", "thing", "a", "-o", "yaml").stdout)
    assert shown["spec"] == {"size": 3, "mode": "safe"}
    assert "thing.test.tidegate.dev/a" in kubectl("get", "all").stdout


def test_get_watch_follows_changes(
    kubectl: Kubectl, environment: dict[str, str], cluster: FakeCluster
) -> None:
    _apply(kubectl, thing("a", size=1))
    command = [KUBECTL, "get", "things", "-w", "--no-headers"]
    watching = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert watching.stdout is not None
    try:
        assert watching.stdout.readline().split() == ["a", "1"]
        cluster.apply([thing("a", size=2)])
        assert watching.stdout.readline().split() == ["a", "2"]
    finally:
        watching.kill()
        watching.communicate()


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("json", '[{"op": "replace", "path": "/spec/replicas", "value": 3}]'),
        ("merge", '{"spec": {"replicas": 3}}'),
        ("strategic", '{"spec": {"replicas": 3}}'),
    ],
)
def test_patch_of_each_kind(kubectl: Kubectl, kind: str, patch: str) -> None:
    _apply(kubectl, deployment())
    kubectl("patch", "deploy", "web", f"--type={kind}", "-p", patch)
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}").stdout == "3"


def test_a_failed_patch_test_is_reported_as_invalid(kubectl: Kubectl) -> None:
    _apply(kubectl, deployment())
    patch = '[{"op": "test", "path": "/spec/replicas", "value": 7}]'
    refused = kubectl("patch", "deploy", "web", "--type=json", "-p", patch, ok=False)
    assert refused.stderr.startswith("The request is invalid")


def test_wait_and_rollout_follow_the_status(kubectl: Kubectl) -> None:
    _apply(kubectl, deployment())
    late = kubectl("wait", "--for=condition=Available", "deploy/web", "--timeout=1s", ok=False)
    assert "timed out" in late.stderr
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    status = counts | {"observedGeneration": 1, "conditions": [{"type": "Available", "status": "True"}]}
    change = json.dumps({"status": status})
    timer = threading.Timer(
        0.3, lambda: kubectl("patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", change)
    )
    timer.start()
    kubectl("wait", "--for=condition=Available", "deploy/web", "--timeout=20s")
    timer.join()
    kubectl("wait", "--for=jsonpath={.status.readyReplicas}=1", "deploy/web", "--timeout=20s")
    assert (
        "successfully rolled out" in kubectl("rollout", "status", "deployment", "web", "--timeout=20s").stdout
    )


def test_scale_label_and_annotate(kubectl: Kubectl) -> None:
    _apply(kubectl, deployment())
    kubectl("scale", "deploy", "web", "--replicas=4")
    kubectl("label", "deploy", "web", "tier=front")
    kubectl("annotate", "deploy", "web", "note=hello")
    shown = json.loads(kubectl("get", "deploy", "-l", "tier=front", "-o", "json").stdout)["items"][0]
    assert (shown["spec"]["replicas"], shown["metadata"]["annotations"]["note"]) == (4, "hello")


def test_describe_shows_the_object_and_its_events(kubectl: Kubectl, cluster: FakeCluster) -> None:
    _apply(kubectl, thing("a", size=3))
    uid = kubectl("get", "thing", "a", "-o", "jsonpath={.metadata.uid}").stdout
    regarding = {"kind": "Thing", "name": "a", "namespace": "default", "uid": uid}
    event = {"metadata": {"name": "a.1"}, "type": "Warning", "reason": "RolledBack", "note": "errors rose"}
    event |= {"apiVersion": "events.k8s.io/v1", "kind": "Event", "regarding": regarding, "action": "RollBack"}
    event |= {
        "eventTime": "2025-01-01T00:00:00.000000Z",
        "reportingController": "x",
        "reportingInstance": "y",
    }
    cluster.apply([event])
    described = kubectl("describe", "thing", "a").stdout
    assert "Size:  3" in described
    assert "RolledBack" in described
    assert "errors rose" in described
    _apply(kubectl, deployment(replicas=2))
    assert "2 desired" in kubectl("describe", "deploy", "web").stdout


def test_logs_follow_a_pod(
    kubectl: Kubectl, environment: dict[str, str], cluster: FakeCluster, tmp_path: Path
) -> None:
    log = tmp_path / "p.log"
    log.write_text("one\n")
    annotations = {"local.tidegate.dev/log-file": str(log)}
    spec = {"containers": [{"name": "c", "image": "i"}]}
    cluster.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "p", "annotations": annotations},
                "spec": spec,
            }
        ]
    )
    assert kubectl("logs", "p").stdout == "one\n"
    following = subprocess.Popen(
        [KUBECTL, "logs", "-f", "p"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert following.stdout is not None
    try:
        assert following.stdout.readline() == "one\n"
        with log.open("a") as file:
            file.write("two\n")
        assert following.stdout.readline() == "two\n"
    finally:
        following.send_signal(signal.SIGINT)
        following.communicate()


def test_delete_waits_for_finalizers_and_says_what_went(kubectl: Kubectl, cluster: FakeCluster) -> None:
    _apply(kubectl, deployment())
    assert "deleted" in kubectl("delete", "deploy", "web").stdout
    assert "not found" in kubectl("get", "deploy", "web", ok=False).stderr
    assert kubectl("delete", "deploy", "web", "--ignore-not-found").stdout == ""


def test_create_explain_and_api_resources(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=thing("a", size=1))
    assert "already exists" in kubectl("create", "-f", "-", stdin=thing("a", size=1), ok=False).stderr
    assert "size" in kubectl("explain", "thing.spec").stdout
    assert "th " in kubectl("api-resources", "--api-group=test.tidegate.dev").stdout


def test_create_makes_objects_from_flags(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "inference")
    create = ("-n", "inference", "create")
    kubectl(*create, "configmap", "c", "--from-literal=a=b")
    kubectl(*create, "secret", "generic", "s", "--from-literal=key=value")
    kubectl(*create, "serviceaccount", "guard")
    kubectl(*create, "deployment", "d", "--image=app:1", "--replicas=0", "--port=80")
    kubectl(*create, "job", "j", "--image=app:1", "--", "echo", "hi")
    kubectl(*create, "service", "clusterip", "d", "--tcp=80:8080")
    listed = kubectl("-n", "inference", "get", "cm,secret,sa,deploy,job,svc", "-o", "json").stdout
    made = {(item["kind"], item["metadata"]["name"]): item for item in json.loads(listed)["items"]}
    assert made["ConfigMap", "c"]["data"] == {"a": "b"}
    assert made["Secret", "s"]["data"] == {"key": "dmFsdWU="}
    assert ("ServiceAccount", "guard") in made
    spec = made["Deployment", "d"]["spec"]
    container = spec["template"]["spec"]["containers"][0]
    assert (spec["replicas"], container["image"], container["ports"][0]["containerPort"]) == (0, "app:1", 80)
    assert made["Job", "j"]["spec"]["template"]["spec"]["containers"][0]["command"] == ["echo", "hi"]
    assert made["Service", "d"]["spec"]["ports"][0]["targetPort"] == 8080
    assert kubectl("auth", "can-i", "get", "pods").stdout.strip() == "yes"


def test_a_refused_object_names_its_paths(kubectl: Kubectl) -> None:
    refused = kubectl("apply", "-f", "-", stdin=thing("a", size=0, mode="odd"), ok=False)
    assert "spec.size: Invalid value: 0" in refused.stderr
    assert 'spec.mode: Unsupported value: "odd"' in refused.stderr
