"""Probes: when they change their mind, and what counts as an answer."""

import http.server
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from guard.testing.pods.probes import Place, Probe, make_probe, watch

PLACE = Place("127.20.8.1", {"http": 8000}.get)


class Clockless(threading.Event):
    """An end that never waits, and comes when the answers are used up."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


def minds(answers: str, **thresholds: int) -> list[bool]:
    """What a probe reports for a script of answers: `+` success, `-` failure."""
    end, left, reported = Clockless(), list(answers), []

    def ask(timeout: float) -> str | None:
        answer = left.pop(0)
        if not left:
            threading.Event.set(end)
        return None if answer == "+" else "failed"

    def report(healthy: bool, why: str) -> bool:
        reported.append(healthy)
        return True

    watch(Probe(ask, **thresholds), end, report)
    return reported


@pytest.mark.parametrize(
    ("answers", "thresholds", "expected"),
    [
        pytest.param("+...".replace(".", "+"), {}, [True], id="one success is enough, told once"),
        pytest.param("--+-", {}, [True], id="failures below the threshold say nothing"),
        pytest.param("+---+-", {}, [True, False, True], id="three failures in a row change its mind"),
        pytest.param("+--+--+", {}, [True], id="failures that are interrupted do not count together"),
        pytest.param("-+++-", {"success_threshold": 3}, [True], id="successes can be asked for in a row"),
        pytest.param("----", {"failure_threshold": 2}, [False], id="failing from the start"),
    ],
)
def test_thresholds(answers: str, thresholds: dict[str, int], expected: list[bool]) -> None:
    assert minds(answers, **thresholds) == expected


def test_a_report_can_end_the_watching() -> None:
    asked = []

    def ask(timeout: float) -> str | None:
        asked.append(timeout)
        return None

    watch(Probe(ask, timeout=7), Clockless(), lambda healthy, why: False)
    assert asked == [7]


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = {"/health": 200, "/moved": 302, "/key": 200 if self.headers["x-key"] == "k" else 401}
        self.send_response(found.get(self.path, 503))
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Place]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Answers) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield Place("127.0.0.1", {"http": serving.server_port, "closed": _closed_port()}.get)
        serving.shutdown()
        thread.join()


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("spec", "fails_with"),
    [
        ({"httpGet": {"path": "/health", "port": "http"}}, None),
        ({"httpGet": {"path": "/moved", "port": "http"}}, None),
        ({"httpGet": {"path": "/broken", "port": "http"}}, "503"),
        ({"httpGet": {"path": "/key", "port": "http"}}, "401"),
        (
            {"httpGet": {"path": "/key", "port": "http", "httpHeaders": [{"name": "x-key", "value": "k"}]}},
            None,
        ),
        ({"httpGet": {"path": "/health", "port": "closed"}}, "refused"),
        ({"httpGet": {"path": "/health", "port": "unnamed"}}, "unnamed"),
        ({"tcpSocket": {"port": "http"}}, None),
        ({"tcpSocket": {"port": "closed"}}, "refused"),
    ],
)
def test_network_probes(server: Place, spec: dict[str, Any], fails_with: str | None) -> None:
    failure = make_probe(spec, server).ask(5)
    assert failure is None if fails_with is None else fails_with in (failure or "")


@pytest.mark.component
@pytest.mark.parametrize(
    ("program", "fails_with"),
    [
        ("", None),
        ("raise SystemExit('not yet')", "not yet"),
        ("import time; time.sleep(60)", "timed out"),
    ],
)
def test_an_exec_probe_succeeds_with_exit_code_0_within_its_time(
    program: str, fails_with: str | None
) -> None:
    place = Place("127.0.0.1", {}.get, {"PATH": "/usr/bin:/bin"})
    failure = make_probe({"exec": {"command": [sys.executable, "-S", "-c", program]}}, place).ask(1)
    assert failure is None if fails_with is None else fails_with in (failure or "")


def test_an_unknown_handler_is_refused() -> None:
    with pytest.raises(ValueError, match="grpc"):
        make_probe({"grpc": {"port": 1}}, PLACE)
