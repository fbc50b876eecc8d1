"""Claims about what the API's answers become."""

import pytest

from guard.adapters.kubernetes.client import CONFIG_MAPS, InvalidError, KubernetesClient
from guard.errors import ConflictError


@pytest.fixture
def config_map(client: KubernetesClient) -> str:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "1"}}
    client.create(CONFIG_MAPS, "default", body)
    return "a"


def test_a_failed_test_of_a_patch_is_a_conflict(client: KubernetesClient, config_map: str) -> None:
    patch = [{"op": "test", "path": "/data/k", "value": "2"}, {"op": "remove", "path": "/data/k"}]
    with pytest.raises(ConflictError):
        client.patch_json(CONFIG_MAPS, "default", config_map, patch)
    assert client.get(CONFIG_MAPS, "default", config_map)["data"] == {"k": "1"}


def test_an_object_that_is_not_valid_is_no_conflict(client: KubernetesClient) -> None:
    with pytest.raises(InvalidError):
        client.create(CONFIG_MAPS, "default", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}})
