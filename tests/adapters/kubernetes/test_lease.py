"""Claims about who leads, against the API over HTTP."""

from pathlib import Path

import pytest

from guard.adapters.kubernetes.client import LEASES, KubernetesClient
from guard.adapters.kubernetes.lease import Lease
from guard.testing.cluster import FakeCluster


def lease(client: KubernetesClient, replica: str = "host-1") -> Lease:
    return Lease(client, "default", "tidegate-guard", replica)


def test_two_guards_of_one_host_never_lead_together(client: KubernetesClient) -> None:
    first, second = lease(client), lease(client)
    assert first.hold()
    assert not second.hold()


def test_a_released_lease_is_taken_at_once(client: KubernetesClient) -> None:
    first = lease(client)
    first.hold()
    first.release()
    assert lease(client, "host-2").hold()


def test_the_lease_names_the_replica_that_leads(client: KubernetesClient) -> None:
    lease(client, "guard-7f9").hold()
    holder = client.get(LEASES, "default", "tidegate-guard")["spec"]["holderIdentity"]
    assert holder.startswith("guard-7f9_")


def test_a_guard_that_may_not_use_the_lease_says_why_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("guard.adapters.kubernetes.lease.RENEW_SECONDS", 0.0)
    with FakeCluster.serve() as cluster:
        candidate = lease(KubernetesClient(str(cluster.write_kubeconfig(tmp_path / "kubeconfig"))))
        cluster.fail_next(2, code=403, path="/leases")
        assert [candidate.hold(), candidate.hold()] == [False, False]
        why = candidate.error
        assert candidate.hold()
    assert [record.message for record in caplog.records] == [
        f"the lease tidegate-guard cannot be taken or renewed: {why}"
    ]
    assert candidate.error is None
