"""LocalPods against FakeCluster: what a user of Deployments, Jobs and Services sees."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from guard.adapters.kubernetes.client import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    JOBS,
    PODS,
    REPLICA_SETS,
    SERVICES,
    KubernetesClient,
)
from guard.errors import ConfigurationError
from guard.testing.cluster import FakeCluster
from guard.testing.pods import LocalPods
from tests.testing.pods.workloads import (
    container,
    deployment,
    eventually,
    job,
    main_container,
    pods_of,
    rolled_out,
)

pytestmark = pytest.mark.component

ONE_MORE_NONE_LESS = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def apply(client: KubernetesClient, namespace: str, workload: dict[str, Any]) -> str:
    """Create a Deployment and wait until it is rolled out; its name."""
    name = str(workload["metadata"]["name"])
    client.create(DEPLOYMENTS, namespace, workload)
    eventually(lambda: rolled_out(client, namespace, name), "the rollout")
    return name


def log_of(pod: dict[str, Any]) -> str:
    return Path(pod["metadata"]["annotations"]["local.tidegate.dev/log-file"]).read_text()


def change_template(client: KubernetesClient, namespace: str, name: str, *containers: dict[str, Any]) -> None:
    body = {"spec": {"template": {"spec": {"containers": list(containers)}}}}
    client.patch_merge(DEPLOYMENTS, namespace, name, body)


def test_a_pod_runs_with_its_own_address_variables_and_files(
    client: KubernetesClient, namespace: str
) -> None:
    client.create(CONFIG_MAPS, namespace, {"metadata": {"name": "files"}, "data": {"greeting": "hello"}})
    script = "import os; print(os.environ['POD_IP'], open(os.environ['POD_ROOT'] + '/etc/x/greeting').read())"
    workload = deployment(
        namespace,
        "web",
        container(
            ["sh", "-c", f'python -S -c "{script}"; exec sleep 600'],
            env=[{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            volumeMounts=[{"name": "files", "mountPath": "/etc/x"}],
        ),
    )
    workload["spec"]["template"]["spec"]["volumes"] = [{"name": "files", "configMap": {"name": "files"}}]
    apply(client, namespace, workload)
    (pod,) = pods_of(client, namespace, "web")
    assert pod["status"]["podIP"].startswith("127.20.1.")
    eventually(lambda: log_of(pod) == f"{pod['status']['podIP']} hello\n", "the greeting in the log")


def test_an_unknown_image_is_never_a_process(
    client: KubernetesClient, namespace: str, pods: LocalPods
) -> None:
    client.create(DEPLOYMENTS, namespace, deployment(namespace, "web", container(image="elsewhere/tools:1")))

    def reason() -> str | None:
        found = [main_container(p)["state"].get("waiting", {}) for p in pods_of(client, namespace, "web")]
        return found[0].get("reason") if found else None

    eventually(lambda: reason() == "ImagePullBackOff", "ImagePullBackOff")
    (pod,) = pods_of(client, namespace, "web")
    assert pod["status"]["phase"] == "Pending"
    assert "local/tools" in main_container(pod)["state"]["waiting"]["message"]
    assert main_container(pod)["restartCount"] == 0


def test_a_container_that_ends_is_restarted_and_backs_off(client: KubernetesClient, namespace: str) -> None:
    client.create(DEPLOYMENTS, namespace, deployment(namespace, "web", container(["sh", "-c", "exit 3"])))

    def crashed() -> dict[str, Any] | None:
        found = [main_container(p) for p in pods_of(client, namespace, "web")]
        waits = found and found[0]["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
        return found[0] if waits and found[0]["restartCount"] >= 2 else None

    status = eventually(crashed, "CrashLoopBackOff after two restarts")
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert status["lastState"]["terminated"]["reason"] == "Error"
    assert not status["ready"]


def test_a_memory_limit_is_an_oom_kill_in_the_status(client: KubernetesClient, namespace: str) -> None:
    hungry = ["python", "-S", "-c", "x = b'x' * 300_000_000; import time; time.sleep(600)"]
    limited = container(hungry, resources={"limits": {"memory": "100Mi"}})
    client.create(DEPLOYMENTS, namespace, deployment(namespace, "web", limited))

    def killed() -> dict[str, Any] | None:
        found = [main_container(p) for p in pods_of(client, namespace, "web")]
        return found[0]["lastState"].get("terminated") if found else None

    ended = eventually(killed, "a terminated container")
    assert (ended["reason"], ended["exitCode"], ended["signal"]) == ("OOMKilled", 137, signal.SIGKILL)


def test_a_process_killed_from_outside_comes_back_as_another(
    client: KubernetesClient, namespace: str, pods: LocalPods
) -> None:
    apply(client, namespace, deployment(namespace, "web"))
    (pod,) = pods_of(client, namespace, "web")
    (process,) = [p for p in pods.pids if _belongs(p, pod)]
    os.kill(process, signal.SIGKILL)
    eventually(lambda: main_container(pods_of(client, namespace, "web")[0])["restartCount"] == 1, "a restart")
    eventually(lambda: [p for p in pods.pids if _belongs(p, pod) and p != process], "another process")


def _belongs(pid: int, pod: dict[str, Any]) -> bool:
    try:
        return psutil.Process(pid).environ().get("HOSTNAME") == pod["metadata"]["name"]
    except psutil.Error:
        return False


def test_endpoints_follow_readiness(client: KubernetesClient, namespace: str) -> None:
    gate = container(readinessProbe={"exec": {"command": ["test", "-e", "open"]}, "periodSeconds": 1})
    client.create(DEPLOYMENTS, namespace, deployment(namespace, "web", gate))
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
    client.create(SERVICES, namespace, service)
    eventually(lambda: _endpoints(client, namespace) == [(False, False)], "an endpoint that is not ready")
    (pod,) = pods_of(client, namespace, "web")
    root = Path(pod["metadata"]["annotations"]["local.tidegate.dev/log-file"]).parent / "root/main"
    (root / "open").touch()
    eventually(lambda: _endpoints(client, namespace) == [(True, False)], "a ready endpoint")


def _endpoints(client: KubernetesClient, namespace: str) -> list[tuple[bool, bool]]:
    """(ready, terminating) of each."""
    slices = client.list(ENDPOINT_SLICES, namespace)["items"]
    conditions = [e["conditions"] for s in slices for e in s.get("endpoints") or []]
    return [(c["ready"], c["terminating"]) for c in conditions]


def test_an_endpoint_is_withdrawn_before_its_process_is_told_to_end(
    client: KubernetesClient, namespace: str, kubeconfig: Path
) -> None:
    # On SIGTERM the process itself reads its Service's slice and writes what it saw to the log.
    script = (
        "import json, os, signal, time, urllib.request\n"
        "def told(*_):\n"
        "    found = json.load(urllib.request.urlopen(os.environ['SLICE']))['endpoints'][0]['conditions']\n"
        "    print(found['ready'], found['terminating'], flush=True)\n"
        "    raise SystemExit\n"
        "signal.signal(signal.SIGTERM, told)\n"
        "print('serving', flush=True)\n"
        "time.sleep(600)\n"
    )
    path = f"{ENDPOINT_SLICES.path(namespace, 'web-0')}"
    witness = container(
        ["python", "-c", script], env=[{"name": "SLICE", "value": client.url + path}], name="main"
    )
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
    client.create(SERVICES, namespace, service)
    apply(client, namespace, deployment(namespace, "web", witness))
    (pod,) = pods_of(client, namespace, "web")
    eventually(lambda: _endpoints(client, namespace) == [(True, False)], "a ready endpoint")
    eventually(lambda: log_of(pod) == "serving\n", "the handler")
    client.delete(PODS, namespace, pod["metadata"]["name"])
    eventually(lambda: log_of(pod) != "serving\n", "what the process saw")
    assert log_of(pod) == "serving\nFalse True\n"


def test_scaling_down_ends_the_processes_and_removes_the_pods(
    client: KubernetesClient, namespace: str, pods: LocalPods
) -> None:
    apply(client, namespace, deployment(namespace, "web", replicas=2))
    mine = [pid for pid in pods.pids for pod in pods_of(client, namespace, "web") if _belongs(pid, pod)]
    assert len(mine) == 2
    client.patch_merge(DEPLOYMENTS, namespace, "web", {"spec": {"replicas": 0}})
    eventually(lambda: not pods_of(client, namespace, "web"), "the pods' end")
    assert not any(psutil.pid_exists(pid) for pid in mine)
    eventually(lambda: rolled_out(client, namespace, "web"), "a status with 0 replicas")


def test_a_new_template_is_a_new_revision_and_the_old_one_is_kept(
    client: KubernetesClient, namespace: str
) -> None:
    workload = deployment(namespace, "web", strategy=ONE_MORE_NONE_LESS)
    apply(client, namespace, workload)
    (first,) = pods_of(client, namespace, "web")
    change_template(client, namespace, "web", container(["sleep", "601"]))
    eventually(lambda: rolled_out(client, namespace, "web"), "the second rollout")
    eventually(lambda: len(pods_of(client, namespace, "web")) == 1, "the old pod's end")
    (second,) = pods_of(client, namespace, "web")
    label = "pod-template-hash"
    assert second["metadata"]["labels"][label] != first["metadata"]["labels"][label]
    assert _revisions(client, namespace) == {"1": 0, "2": 1}
    change_template(client, namespace, "web", *workload["spec"]["template"]["spec"]["containers"])
    eventually(lambda: _revisions(client, namespace) == {"2": 0, "3": 1}, "the first template as revision 3")
    eventually(lambda: rolled_out(client, namespace, "web"), "the return")
    annotations = client.get(DEPLOYMENTS, namespace, "web")["metadata"]["annotations"]
    assert annotations["deployment.kubernetes.io/revision"] == "3"


def _revisions(client: KubernetesClient, namespace: str) -> dict[str, int]:
    """Revision -> replicas asked for."""
    sets = client.list(REPLICA_SETS, namespace)["items"]
    name = "deployment.kubernetes.io/revision"
    return {s["metadata"]["annotations"][name]: s["spec"]["replicas"] for s in sets}


def test_a_job_ends_complete_when_its_pod_succeeded(client: KubernetesClient, namespace: str) -> None:
    client.create(JOBS, namespace, job(namespace, "load", ["sh", "-c", "echo done"]))
    status = eventually(lambda: _ended(client, namespace, "load"), "the job's end")
    assert status["succeeded"] == 1
    (pod,) = pods_of(client, namespace, "load")
    assert pod["status"]["phase"] == "Succeeded"
    assert log_of(pod) == "done\n"


def test_a_job_fails_after_its_backoff_limit(client: KubernetesClient, namespace: str) -> None:
    client.create(JOBS, namespace, job(namespace, "load", ["sh", "-c", "exit 1"], backoffLimit=1))
    status = eventually(lambda: _ended(client, namespace, "load"), "the job's end")
    assert status["failed"] == 2
    reasons = {c["type"]: c["reason"] for c in status["conditions"]}
    assert reasons["Failed"] == "BackoffLimitExceeded"


def _ended(client: KubernetesClient, namespace: str, name: str) -> dict[str, Any] | None:
    status = client.get(JOBS, namespace, name).get("status") or {}
    return status if status.get("conditions") else None


def test_init_containers_run_first_and_in_order(client: KubernetesClient, namespace: str) -> None:
    workload = deployment(namespace, "web", container(["sh", "-c", "echo main; exec sleep 600"]))
    workload["spec"]["template"]["spec"]["initContainers"] = [
        {**container(["sh", "-c", f"echo {word}"]), "name": word} for word in ("first", "second")
    ]
    apply(client, namespace, workload)
    (pod,) = pods_of(client, namespace, "web")
    eventually(lambda: log_of(pod) == "first\nsecond\nmain\n", "three lines in order")


def test_a_failing_liveness_probe_restarts_the_container(client: KubernetesClient, namespace: str) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    client.create(DEPLOYMENTS, namespace, deployment(namespace, "web", container(livenessProbe=probe)))

    def restarted() -> bool:
        return any(main_container(p).get("restartCount", 0) > 0 for p in pods_of(client, namespace, "web"))

    eventually(restarted, "a restart")


def test_a_pod_is_not_ready_before_its_startup_probe_succeeded(
    client: KubernetesClient, namespace: str
) -> None:
    probe = {"exec": {"command": ["test", "-e", "warm"]}, "periodSeconds": 1, "failureThreshold": 60}
    client.create(DEPLOYMENTS, namespace, deployment(namespace, "web", container(startupProbe=probe)))
    eventually(
        lambda: [
            p
            for p in pods_of(client, namespace, "web")
            if "running" in main_container(p)["state"] and "annotations" in p["metadata"]
        ],
        "a running container",
    )
    (pod,) = pods_of(client, namespace, "web")
    assert not main_container(pod)["started"]
    assert not main_container(pod)["ready"]
    log = Path(pod["metadata"]["annotations"]["local.tidegate.dev/log-file"])
    (log.parent / "root/main/warm").touch()
    eventually(lambda: main_container(pods_of(client, namespace, "web")[0])["ready"], "readiness")


def test_leaving_ends_every_process(tmp_path: Path) -> None:
    with FakeCluster.serve() as cluster:
        path = cluster.write_kubeconfig(tmp_path / "kubeconfig")
        cluster.apply([deployment("default", "web", replicas=2)])
        with LocalPods(path, {"local/tools": sys.prefix}, tmp_path, "127.20.2.0/24") as pods:
            eventually(lambda: len(pods.pids) == 2, "two processes")
            mine = pods.pids
        assert not any(psutil.pid_exists(pid) for pid in mine)


def test_a_cluster_on_another_machine_is_refused(tmp_path: Path) -> None:
    with FakeCluster.serve() as cluster:
        path = cluster.write_kubeconfig(tmp_path / "kubeconfig")
        path.write_text(path.read_text().replace("127.0.0.1", "cluster.example"))
        with pytest.raises(ConfigurationError, match=r"cluster\.example"):
            LocalPods(path, {}, tmp_path).__enter__()
