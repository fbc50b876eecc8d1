"""Watches: what a client sees, from where, and under a selector."""

from tests.testing.cluster.api_client import ApiClient, Json
from tests.testing.cluster.documents import Collection


def _named(event: tuple[str, Json]) -> tuple[str, str]:
    return event[0], event[1]["metadata"]["name"]


def test_a_watch_from_a_revision_shows_what_came_after_it(api: ApiClient, configs: Collection) -> None:
    made = api.made(configs.path, configs.document("a"))
    api.merge_patch(configs("a"), {"data": {"x": "1"}})
    api.delete(configs("a"))
    revision = made["metadata"]["resourceVersion"]
    with api.watching(configs.path, resourceVersion=revision) as events:
        changed, deleted = next(events), next(events)
    assert [_named(changed), _named(deleted)] == [("MODIFIED", "a"), ("DELETED", "a")]
    revisions = [int(event[1]["metadata"]["resourceVersion"]) for event in (changed, deleted)]
    assert int(revision) < revisions[0] < revisions[1]
    assert deleted[1]["data"] == {"x": "1"}


def test_a_watch_without_revision_begins_with_what_is_there(api: ApiClient, configs: Collection) -> None:
    api.made(configs.path, configs.document("a", labels={"mine": "yes"}))
    with api.watching(configs.path, labelSelector="mine") as events:
        assert _named(next(events)) == ("ADDED", "a")
        api.made(configs.path, configs.document("b", labels={"mine": "yes"}))
        assert _named(next(events)) == ("ADDED", "b")


def test_under_a_selector_objects_come_and_go_with_their_labels(api: ApiClient, configs: Collection) -> None:
    revision = api.made(configs.path, configs.document("a"))["metadata"]["resourceVersion"]
    with api.watching(configs.path, resourceVersion=revision, labelSelector="tier=web") as events:
        api.merge_patch(configs("a"), {"metadata": {"labels": {"tier": "web"}}})
        api.merge_patch(configs("a"), {"data": {"x": "1"}})
        api.merge_patch(configs("a"), {"metadata": {"labels": {"tier": "db"}}})
        assert [next(events)[0] for _ in range(3)] == ["ADDED", "MODIFIED", "DELETED"]


def test_a_watch_of_one_name_does_not_show_others(api: ApiClient, configs: Collection) -> None:
    revision = api.made(configs.path, configs.document("a"))["metadata"]["resourceVersion"]
    with api.watching(configs.path, resourceVersion=revision, fieldSelector="metadata.name=b") as events:
        api.merge_patch(configs("a"), {"data": {"x": "1"}})
        api.made(configs.path, configs.document("b"))
        assert _named(next(events)) == ("ADDED", "b")


def test_a_watch_ends_by_its_timeout_with_a_bookmark(api: ApiClient, configs: Collection) -> None:
    revision = api.made(configs.path, configs.document("a"))["metadata"]["resourceVersion"]
    query = {"resourceVersion": revision, "timeoutSeconds": "1", "allowWatchBookmarks": "true"}
    with api.watching(configs.path, **query) as events:
        seen = list(events)
    assert all(kind == "BOOKMARK" for kind, _ in seen)
    assert all(int(item["metadata"]["resourceVersion"]) >= int(revision) for _, item in seen)


def test_initial_events_end_with_the_annotated_bookmark(api: ApiClient, configs: Collection) -> None:
    api.made(configs.path, configs.document("a", labels={"mine": "yes"}))
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "labelSelector": "mine",
    }
    with api.watching(configs.path, **query) as events:
        assert _named(next(events)) == ("ADDED", "a")
        kind, bookmark = next(events)
        assert kind == "BOOKMARK"
        assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert bookmark["kind"] == configs.kind.kind
        api.made(configs.path, configs.document("b", labels={"mine": "yes"}))
        assert _named(next(events)) == ("ADDED", "b")


def test_initial_events_need_the_match_rule(api: ApiClient, configs: Collection) -> None:
    refused = api.get(configs.path, params={"watch": "true", "sendInitialEvents": "true"})
    assert (refused.status_code, refused.json()["reason"]) == (422, "Invalid")
