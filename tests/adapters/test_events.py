"""Claims about Events, against the API over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.adapters.kubernetes.client import CONFIG_MAPS, EVENTS, KubernetesClient, Object
from guard.adapters.kubernetes.events import emit
from guard.testing.cluster import FakeCluster

AT = "2026-01-01T00:00:00.000001Z"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[KubernetesClient]:
    with FakeCluster.serve() as cluster:
        yield KubernetesClient(str(cluster.write_kubeconfig(tmp_path / "kubeconfig")))


@pytest.fixture
def regarding(client: KubernetesClient) -> Object:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ops-1", "namespace": "default"}}
    return client.create(CONFIG_MAPS, "default", body)


def test_an_event_that_two_guards_tell_is_there_once(client: KubernetesClient, regarding: Object) -> None:
    assert emit(client, regarding, "RolledBack", "too many errors", AT, warning=True)
    assert emit(client, regarding, "RolledBack", "too many errors", AT, warning=True)
    (event,) = client.list(EVENTS, "default")["items"]
    assert (event["reason"], event["note"], event["type"]) == ("RolledBack", "too many errors", "Warning")
    assert event["eventTime"] == AT
    assert event["regarding"]["uid"] == regarding["metadata"]["uid"]


def test_the_same_words_at_another_time_are_another_event(
    client: KubernetesClient, regarding: Object
) -> None:
    emit(client, regarding, "Held", "no data", AT)
    emit(client, regarding, "Held", "no data", AT.replace("01Z", "02Z"))
    assert len(client.list(EVENTS, "default")["items"]) == 2
