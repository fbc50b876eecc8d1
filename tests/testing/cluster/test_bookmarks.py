"""Bookmarks come by the clock, also where other objects keep changing."""

import pytest

from guard.testing.cluster import FakeCluster, watch
from tests.testing.cluster.api_client import ApiClient

pytestmark = pytest.mark.component

CONFIGS = "/api/v1/namespaces/default/configmaps"


def test_a_busy_neighbour_does_not_keep_bookmarks_away(
    cluster: FakeCluster, direct: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "BOOKMARK_SECONDS", 0.05)
    revision = direct.made(CONFIGS, {"metadata": {"name": "busy"}})["metadata"]["resourceVersion"]
    query = {
        "resourceVersion": revision,
        "allowWatchBookmarks": "true",
        "fieldSelector": "metadata.name=quiet",
    }
    with direct.watching(CONFIGS, **query) as events, ApiClient(cluster.url) as other:
        for number in range(20):
            other.merge_patch(f"{CONFIGS}/busy", {"data": {"n": str(number)}})
        last = int(other.read(f"{CONFIGS}/busy")["metadata"]["resourceVersion"])
        kind, document = next(events)
        while int(document["metadata"]["resourceVersion"]) < last:
            kind, document = next(events)
    assert kind == "BOOKMARK"
