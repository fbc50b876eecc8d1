"""Claims about reading Traefik's access log."""

import json

import pytest

from guard.adapters.signals.access_log import parse_line

ROW = {
    "ServiceName": "x-svc-inference-chat-canary-1@kubernetesgateway",
    "ServiceAddr": "127.20.0.3:8000",
    "DownstreamStatus": 400,
    "Duration": 1500000000,
    "StartUTC": "2026-11-23T17:44:45.585064019Z",
    "request_X-Request-Id": "user-1",
}


def test_a_request_is_known_by_its_beginning() -> None:
    request = parse_line(json.dumps(ROW).encode())
    assert request is not None
    assert request.started_at == pytest.approx(1795455885.585064)
    assert (request.status, request.seconds, request.request_id) == (400, 1.5, "user-1")


@pytest.mark.parametrize(
    "line",
    [b"2026-11-23 INF Starting provider", b"", b"{", b"[1]", b'{"msg": "no request"}'],
    ids=["the program's own log", "empty", "cut off", "no object", "another object"],
)
def test_other_lines_are_no_requests(line: bytes) -> None:
    assert parse_line(line) is None
