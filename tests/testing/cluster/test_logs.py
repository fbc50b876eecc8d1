"""A pod's log, from the file that its annotation names."""

import os
import threading
from pathlib import Path

import pytest

from tests.testing.cluster.api_client import ApiClient

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
def log(direct: ApiClient, tmp_path: Path) -> Path:
    file = tmp_path / "p.log"
    file.write_text("one\ntwo\nthree\n")
    annotations = {"local.tidegate.dev/log-file": str(file)}
    spec = {"containers": [{"name": "c", "image": "i"}]}
    direct.made(PODS, {"metadata": {"name": "p", "annotations": annotations}, "spec": spec})
    return file


def test_the_log_is_the_files_bytes(direct: ApiClient, log: Path) -> None:
    answer = direct.get(f"{PODS}/p/log")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.content == b"one\ntwo\nthree\n"


@pytest.mark.parametrize(("lines", "expected"), [("1", "three\n"), ("0", ""), ("9", "one\ntwo\nthree\n")])
def test_tail_lines_shows_the_end(direct: ApiClient, log: Path, lines: str, expected: str) -> None:
    assert direct.get(f"{PODS}/p/log", params={"tailLines": lines}).text == expected


@pytest.mark.parametrize("since", [{"sinceSeconds": "60"}, {"sinceTime": "2100-01-01T00:00:00Z"}])
def test_an_old_log_has_nothing_new(direct: ApiClient, log: Path, since: dict[str, str]) -> None:
    os.utime(log, (0, 0))
    assert direct.get(f"{PODS}/p/log", params=since).content == b""


def test_a_young_pods_log_is_new(direct: ApiClient, log: Path) -> None:
    assert direct.get(f"{PODS}/p/log", params={"sinceSeconds": "3600"}).content == b"one\ntwo\nthree\n"


def test_who_follows_again_does_not_read_everything_again(direct: ApiClient, log: Path) -> None:
    since_now = {"follow": "true", "sinceSeconds": "0"}
    for text in ("four", "five"):
        with direct.stream("GET", f"{PODS}/p/log", params=since_now) as answer:
            lines = answer.iter_lines()
            with log.open("a") as file:
                file.write(f"{text}\n")
            assert next(lines) == text


def test_a_time_that_is_none_is_a_bad_request(direct: ApiClient, log: Path) -> None:
    assert direct.get(f"{PODS}/p/log", params={"sinceTime": "soon"}).status_code == 400


def test_a_pod_without_log_says_so(direct: ApiClient) -> None:
    direct.made(PODS, {"metadata": {"name": "q"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    refused = direct.get(f"{PODS}/q/log")
    assert (refused.status_code, refused.json()["reason"]) == (400, "BadRequest")
    assert direct.get(f"{PODS}/none/log").status_code == 404


def test_a_follower_sees_what_is_appended(direct: ApiClient, log: Path) -> None:
    with direct.stream("GET", f"{PODS}/p/log", params={"follow": "true", "tailLines": "1"}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "three"
        with log.open("a") as file:
            file.write("four\n")
        assert next(lines) == "four"


def test_a_follower_is_let_go_when_the_pod_is_deleted(direct: ApiClient, log: Path) -> None:
    with direct.stream("GET", f"{PODS}/p/log", params={"follow": "true"}) as answer:
        lines = answer.iter_lines()
        assert [next(lines) for _ in range(3)] == ["one", "two", "three"]
        ended = threading.Timer(0, lambda: direct_delete(direct))
        ended.start()
        assert list(lines) == []
        ended.join()


def direct_delete(client: ApiClient) -> None:
    """Delete from another connection than the one that follows."""
    with ApiClient(str(client.base_url)) as other:
        other.delete(f"{PODS}/p")
