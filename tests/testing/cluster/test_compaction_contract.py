"""Compacted history: what it answers is gone, and the present is not."""

from collections.abc import Callable

from tests.testing.cluster.api_client import ApiClient, eventually
from tests.testing.cluster.documents import Collection


def _compacted(api: ApiClient, configs: Collection, compact: Callable[[], None]) -> None:
    compact()  # the real API server is restarted for it
    assert eventually(lambda: api.get(configs.path).is_success, 30)


def test_a_watch_from_compacted_history_is_told_so(
    api: ApiClient, configs: Collection, compact: Callable[[], None]
) -> None:
    revision = api.made(configs.path, configs.document())["metadata"]["resourceVersion"]
    api.delete(configs("a"))
    _compacted(api, configs, compact)
    with api.watching(configs.path, resourceVersion=revision) as events:
        kind, status = next(events)
    assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
    assert status["message"].startswith(f"too old resource version: {revision} (")


def test_a_continue_token_of_compacted_history_is_gone(
    api: ApiClient, configs: Collection, compact: Callable[[], None]
) -> None:
    for name in "ab":
        api.made(configs.path, configs.document(name))
    token = api.read(configs.path, limit="1")["metadata"]["continue"]
    api.made(configs.path, configs.document("c"))
    _compacted(api, configs, compact)
    refused = api.get(configs.path, params={"limit": "1", "continue": token})
    assert (refused.status_code, refused.json()["reason"]) == (410, "Expired")


def test_a_list_after_compaction_is_whole_and_can_be_watched_from(
    api: ApiClient, configs: Collection, compact: Callable[[], None]
) -> None:
    api.made(configs.path, configs.document())
    _compacted(api, configs, compact)
    listed = api.read(configs.path)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a"]
    with api.watching(configs.path, resourceVersion=listed["metadata"]["resourceVersion"]) as events:
        api.made(configs.path, configs.document("b"))
        assert next(events)[0] == "ADDED"
