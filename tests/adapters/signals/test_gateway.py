"""Claims about reading a gateway's counters."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from guard.adapters.signals.gateway import Count, GatewayCounters, backend_of, parse_counters
from guard.errors import UnreachableError

STABLE = (
    "httproute-inference-chat-gw-gateway-ai-ep-web-0-a3dea3-svc-inference-chat-stable-0@kubernetesgateway"
)
CANARY = (
    "httproute-inference-chat-gw-gateway-ai-ep-web-0-a3dea3-svc-inference-chat-canary-1@kubernetesgateway"
)


def exposition(stable_ok: int, canary_ok: int, canary_bad: int) -> str:
    line = 'traefik_service_requests_total{{code="{}",method="POST",protocol="http",service="{}"}} {}\n'
    return (
        "# TYPE traefik_service_requests_total counter\n"
        + line.format(200, STABLE, stable_ok)
        + line.format(200, CANARY, canary_ok)
        + line.format(400, CANARY, canary_bad)
        + 'traefik_service_requests_bytes_total{service="x"} 5\n'
    )


class Gateway:
    """A real HTTP server whose /metrics a test sets."""

    def __init__(self) -> None:
        self.text: str | None = exposition(0, 0, 0)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = (outer.text or "").encode()
                self.send_response(200 if outer.text is not None else 503)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/metrics"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    thread = threading.Thread(target=gateway.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield gateway
    gateway.server.shutdown()
    gateway.server.server_close()
    thread.join()


@pytest.fixture
def counters() -> Iterator[GatewayCounters]:
    counters = GatewayCounters()
    yield counters
    counters.close()


def test_what_was_counted_before_the_first_reading_is_not_ours(
    gateway: Gateway, counters: GatewayCounters
) -> None:
    gateway.text = exposition(100, 10, 5)
    assert counters.read([gateway.url]) == []


def test_each_reading_gives_what_was_added(gateway: Gateway, counters: GatewayCounters) -> None:
    counters.read([gateway.url])
    gateway.text = exposition(9, 3, 2)
    assert counters.read([gateway.url]) == [
        Count(CANARY, "200", 3),
        Count(CANARY, "400", 2),
        Count(STABLE, "200", 9),
    ]
    assert counters.read([gateway.url]) == []


def test_a_restarted_gateway_counts_from_zero(gateway: Gateway, counters: GatewayCounters) -> None:
    gateway.text = exposition(100, 0, 0)
    counters.read([gateway.url])
    gateway.text = exposition(4, 0, 0)
    assert counters.read([gateway.url]) == [Count(STABLE, "200", 4)]


def test_nothing_is_lost_while_the_gateway_does_not_answer(
    gateway: Gateway, counters: GatewayCounters
) -> None:
    counters.read([gateway.url])
    gateway.text = None
    with pytest.raises(UnreachableError, match="could not be read"):
        counters.read([gateway.url])
    gateway.text = exposition(7, 0, 0)
    assert counters.read([gateway.url]) == [Count(STABLE, "200", 7)]


def test_methods_of_one_code_are_one_series() -> None:
    text = "".join(
        f'traefik_service_requests_total{{code="200",method="{m}",protocol="http",service="{STABLE}"}} 2\n'
        for m in ("GET", "POST")
    )
    assert parse_counters("p", text) == {("p", STABLE, "200"): 4}


@pytest.mark.parametrize(
    ("name", "service"),
    [
        (STABLE, "chat-stable"),
        (CANARY, "chat-canary"),
        (STABLE.replace("inference-chat-stable", "other-chat-stable"), None),
        ("ping@internal", None),
        (STABLE.replace("svc-inference-chat-stable", "svc-inference-chat-stable-two"), None),
    ],
    ids=["stable", "canary", "another namespace", "not of the Gateway API", "a longer name"],
)
def test_a_backend_is_told_by_namespace_and_service(name: str, service: str | None) -> None:
    assert backend_of(name, "inference", ["chat-stable", "chat-canary"]) == service
