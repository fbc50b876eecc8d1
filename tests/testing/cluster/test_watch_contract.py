"""Watches: what a client sees, from where, and under a selector."""

from collections.abc import Callable

from tests.testing.cluster.api_client import ApiClient, Json

Path = Callable[[str], str]


def _config(name: str, **labels: str) -> Json:
    return {"metadata": {"name": name, "labels": labels}}


def _named(event: tuple[str, Json]) -> tuple[str, str]:
    return event[0], event[1]["metadata"]["name"]


def test_a_watch_from_a_revision_shows_what_came_after_it(api: ApiClient, core: Path) -> None:
    made = api.made(core("configmaps"), _config("a"))
    api.merge_patch(core("configmaps/a"), {"data": {"x": "1"}})
    api.delete(core("configmaps/a"))
    revision = made["metadata"]["resourceVersion"]
    with api.watching(core("configmaps"), resourceVersion=revision) as events:
        changed, deleted = next(events), next(events)
    assert [_named(changed), _named(deleted)] == [("MODIFIED", "a"), ("DELETED", "a")]
    revisions = [int(event[1]["metadata"]["resourceVersion"]) for event in (changed, deleted)]
    assert int(revision) < revisions[0] < revisions[1]
    assert deleted[1]["data"] == {"x": "1"}


def test_a_watch_without_revision_begins_with_what_is_there(api: ApiClient, core: Path) -> None:
    api.made(core("configmaps"), _config("a", mine="yes"))
    with api.watching(core("configmaps"), labelSelector="mine") as events:
        assert _named(next(events)) == ("ADDED", "a")
        api.made(core("configmaps"), _config("b", mine="yes"))
        assert _named(next(events)) == ("ADDED", "b")


def test_under_a_selector_objects_come_and_go_with_their_labels(api: ApiClient, core: Path) -> None:
    revision = api.made(core("configmaps"), _config("a"))["metadata"]["resourceVersion"]
    with api.watching(core("configmaps"), resourceVersion=revision, labelSelector="tier=web") as events:
        api.merge_patch(core("configmaps/a"), {"metadata": {"labels": {"tier": "web"}}})
        api.merge_patch(core("configmaps/a"), {"data": {"x": "1"}})
        api.merge_patch(core("configmaps/a"), {"metadata": {"labels": {"tier": "db"}}})
        assert [next(events)[0] for _ in range(3)] == ["ADDED", "MODIFIED", "DELETED"]


def test_a_watch_of_one_name_does_not_show_others(api: ApiClient, core: Path) -> None:
    revision = api.made(core("configmaps"), _config("a"))["metadata"]["resourceVersion"]
    with api.watching(
        core("configmaps"), resourceVersion=revision, fieldSelector="metadata.name=b"
    ) as events:
        api.merge_patch(core("configmaps/a"), {"data": {"x": "1"}})
        api.made(core("configmaps"), _config("b"))
        assert _named(next(events)) == ("ADDED", "b")


def test_a_watch_ends_by_its_timeout_with_a_bookmark(api: ApiClient, core: Path) -> None:
    revision = api.made(core("configmaps"), _config("a"))["metadata"]["resourceVersion"]
    query = {"resourceVersion": revision, "timeoutSeconds": "1", "allowWatchBookmarks": "true"}
    with api.watching(core("configmaps"), **query) as events:
        seen = list(events)
    assert all(kind == "BOOKMARK" for kind, _ in seen)
    assert all(int(item["metadata"]["resourceVersion"]) >= int(revision) for _, item in seen)


def test_initial_events_end_with_the_annotated_bookmark(api: ApiClient, core: Path) -> None:
    api.made(core("configmaps"), _config("a", mine="yes"))
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "labelSelector": "mine",
    }
    with api.watching(core("configmaps"), **query) as events:
        assert _named(next(events)) == ("ADDED", "a")
        kind, bookmark = next(events)
        assert kind == "BOOKMARK"
        assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert bookmark["kind"] == "ConfigMap"
        api.made(core("configmaps"), _config("b", mine="yes"))
        assert _named(next(events)) == ("ADDED", "b")


def test_initial_events_need_the_match_rule(api: ApiClient, core: Path) -> None:
    refused = api.get(core("configmaps"), params={"watch": "true", "sendInitialEvents": "true"})
    assert (refused.status_code, refused.json()["reason"]) == (422, "Invalid")
