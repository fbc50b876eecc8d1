"""One OpenAI-compatible endpoint: its address, how it is reached, and set-up calls with translated errors.

Owns the httpx client's settings (timeouts, TLS, no proxy unless asked) and the words for an endpoint that
cannot be used. Refuses to know completions: `chat` asks those. A set-up call raises; a request under
judgement never does, its outcome is data.
"""

import socket
import ssl
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from guard.core.samples import Arm
from guard.errors import ConfigurationError, NotFoundError, UnauthorizedError, UnreachableError

# A connection for each request. Servers close kept ones when they like (llama.cpp after a few answers,
# without notice), and a request sent into a closing connection would count against the runtime. Asking
# again would hide real faults. The price, a handshake, is the same for both arms.
_LIMITS = httpx.Limits(max_keepalive_connections=0)


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, between two reads (so also to the first token), and for a whole answer."""

    connect: float = 5.0
    read: float = 60.0
    total: float = 120.0


@dataclass(frozen=True)
class Endpoint:
    """Where one arm is served. `url` has neither a trailing slash nor /v1.

    `pod` is the name of the pod that answers there, where one does and it is known.
    """

    url: str
    arm: Arm = Arm.CANARY
    api_key: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    pod: str | None = None

    @classmethod
    def parse(
        cls, url: str, arm: Arm = Arm.CANARY, *, api_key: str | None = None, ca_file: str | None = None
    ) -> Self:
        """Accepts the base URL with or without /v1.

        Raises:
            ConfigurationError: Not an http(s) URL with a host, or the CA file cannot be read.
        """
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
        except ValueError:
            usable = False
        if not usable:
            raise ConfigurationError(f"{url!r} is not a URL such as http://chat.example:8000")
        if ca_file is not None:
            _trust(ca_file)
        return cls(url.rstrip("/").removesuffix("/v1"), arm, api_key, ca_file)


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"CA file {ca_file}: {error.strerror or error}") from error


def open_client(endpoint: Endpoint, timeouts: Timeouts, *, trust_env: bool = False) -> httpx.Client:
    """The client for one endpoint. Proxies of the environment are used only when asked for.

    Close it, or use it as a context manager.
    """
    headers = {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
    timeout = httpx.Timeout(timeouts.read, connect=timeouts.connect)
    # A TLS context costs 20 ms of CPU; plain HTTP needs none.
    verify = _trust(endpoint.ca_file) if endpoint.url.startswith("https:") else False
    return httpx.Client(
        base_url=endpoint.url,
        headers=headers,
        limits=_LIMITS,
        timeout=timeout,
        trust_env=trust_env,
        verify=verify,
    )


def get(client: httpx.Client, path: str) -> httpx.Response:
    """One set-up call, read whole.

    Raises:
        UnreachableError: No answer; names DNS, TLS, a refused connection or the timeout, and the remedy.
        UnauthorizedError: 401 or 403.
    """
    try:
        response = client.get(path)
    except httpx.TransportError as error:
        raise UnreachableError(explain(error, str(client.base_url))) from error
    if response.status_code in (401, 403):
        raise UnauthorizedError(unauthorized(f"{client.base_url}{path.lstrip('/')}", response.status_code))
    return response


def get_json(client: httpx.Client, path: str) -> Any:
    """A set-up call whose answer must be JSON.

    Raises:
        NotFoundError: 404.
        UnreachableError: Any other status than 200, or an answer that is not JSON; and as `get`.
        UnauthorizedError: As `get`.
    """
    response = get(client, path)
    where = f"{client.base_url}{path.lstrip('/')}"
    if response.status_code == 404:
        raise NotFoundError(f"{where} answers 404: is this the base URL of an OpenAI-compatible server?")
    if response.status_code != 200:
        raise UnreachableError(f"{where} answers {response.status_code}: is the runtime still starting?")
    try:
        return response.json()
    except ValueError as error:
        raise UnreachableError(f"{where} answers, but not with JSON: is this a model server?") from error


def unauthorized(where: str, status: int) -> str:
    """The line for a 401 or 403."""
    return f"{where} answers {status}: name the variable that holds the key with --api-key-env NAME"


def explain(error: httpx.HTTPError, url: str) -> str:
    """One line: why there was no answer, and what to do about it."""
    url = url.rstrip("/")
    cause = _root(error)
    if isinstance(cause, socket.gaierror):
        return f"{url}: DNS knows no such host: check the name, or the cluster's DNS from here"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{url}: TLS: {cause.verify_message}: name the issuer's certificates with --ca-file FILE"
    if isinstance(cause, ssl.SSLError):
        return f"{url}: TLS: {cause.reason or cause}: is it https on this port?"
    if isinstance(cause, ConnectionRefusedError):
        return f"{url}: connection refused: nothing listens there; is the runtime started, is the port right?"
    if isinstance(error, httpx.ConnectTimeout):
        return f"{url}: no connection in time: is a firewall or NetworkPolicy in the way?"
    if isinstance(error, httpx.TimeoutException):
        return f"{url}: connected, but no answer in time: is the runtime overloaded or hung?"
    return f"{url}: {str(error) or type(error).__name__}"


def _root(error: BaseException) -> BaseException:
    seen = error
    while (earlier := seen.__cause__ or seen.__context__) is not None:
        seen = earlier
    return seen
