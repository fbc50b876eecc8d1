"""Set-up calls: an endpoint that cannot be used is one line with the remedy."""

import socket
from collections.abc import Iterator

import pytest

from guard.adapters.endpoint import Endpoint, Timeouts, get, get_json, open_client
from guard.errors import ConfigurationError, NotFoundError, UnauthorizedError, UnreachableError
from guard.testing.runtime import Script, ScriptedRuntime

HOST = "127.30.2.1"
QUICK = Timeouts(connect=0.5, read=0.3)


def fetch(url: str, path: str = "/v1/models", api_key: str | None = None) -> object:
    endpoint = Endpoint.parse(url, api_key=api_key)
    with open_client(endpoint, QUICK) as client:
        return get_json(client, path)


@pytest.mark.parametrize("url", ["http://chat:8000", "http://chat:8000/", "http://chat:8000/v1"])
def test_url_is_taken_with_and_without_v1(url: str) -> None:
    assert Endpoint.parse(url).url == "http://chat:8000"


@pytest.mark.parametrize("url", ["chat:8000", "ftp://chat", "http://", "http://chat:port", "", "http://["])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a URL such as"):
        Endpoint.parse(url)


def test_refused_connection_asks_whether_it_is_started() -> None:
    with pytest.raises(UnreachableError, match="connection refused: nothing listens there"):
        fetch("http://127.30.255.1:9")


def test_unknown_host_names_dns() -> None:
    with pytest.raises(UnreachableError, match="DNS knows no such host"):
        fetch("http://no-such-host.invalid")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Accepts, and never says a word."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def test_silent_server_is_named_hung(silent_port: int) -> None:
    with pytest.raises(UnreachableError, match="connected, but no answer in time"):
        fetch(f"http://{HOST}:{silent_port}")


def test_plain_http_behind_https_names_tls() -> None:
    with ScriptedRuntime.serve(Script(), HOST) as runtime, pytest.raises(UnreachableError, match="TLS"):
        fetch(runtime.url.replace("http:", "https:"))


def test_missing_key_is_unauthorized() -> None:
    with ScriptedRuntime.serve(Script(api_key="sesame"), HOST) as runtime:
        with pytest.raises(UnauthorizedError, match="--api-key-env"):
            fetch(runtime.url)
        assert fetch(runtime.url, api_key="sesame")


def test_other_server_is_told_from_a_model_server() -> None:
    with ScriptedRuntime.serve(Script(), HOST) as runtime:
        with pytest.raises(NotFoundError, match="404"):
            fetch(runtime.url, "/v2/none")
        with pytest.raises(UnreachableError, match="not with JSON"):
            fetch(runtime.url, "/metrics")


def test_status_of_a_set_up_call_is_for_the_caller() -> None:
    with (
        ScriptedRuntime.serve(Script(), HOST) as runtime,
        open_client(Endpoint.parse(runtime.url), QUICK) as client,
    ):
        assert get(client, "/none").status_code == 404
