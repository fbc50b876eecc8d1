"""Probes: what a kubelet asks a container, and how many answers change its mind.

One `Probe` asks once; `watch` repeats it in the thread that calls it. Knows no pod status.
"""

import http.client
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from guard.testing.pods.reaper import kill_group

# Ask with a timeout in seconds; returns why it failed, or None for success.
Ask = Callable[[float], str | None]


@dataclass(frozen=True)
class Probe:
    """One probe of one container; times in seconds, defaults as in the API."""

    ask: Ask
    initial_delay: int = 0
    period: int = 10
    timeout: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True)
class Place:
    """Where a container runs: what its probes need to reach it.

    Attributes:
        port: Resolves a port's number or name to where it listens; None for an unknown name.
        rewrite: Applied to each word of an exec probe. The kubelet expands `$(NAME)` there for variables with
            a plain `value` only; a probe that needs the pod's address runs a shell.
    """

    address: str
    port: Callable[[int | str], int | None]
    env: Mapping[str, str] = field(default_factory=dict)
    directory: str = "."
    rewrite: Callable[[str], str] = str


def make_probe(spec: Mapping[str, Any], place: Place) -> Probe:
    """From a probe as in a pod's spec.

    Raises:
        ValueError: Its handler is none of httpGet, tcpSocket and exec.
    """
    return Probe(
        ask=_handler(spec, place),
        initial_delay=int(spec.get("initialDelaySeconds") or 0),
        period=int(spec.get("periodSeconds") or 10),
        timeout=int(spec.get("timeoutSeconds") or 1),
        success_threshold=int(spec.get("successThreshold") or 1),
        failure_threshold=int(spec.get("failureThreshold") or 3),
    )


def watch(probe: Probe, until: threading.Event, report: Callable[[bool, str], bool]) -> None:
    """Ask at once (after initialDelaySeconds) and every period; tell `report` each change of mind.

    Args:
        until: Ends the watching.
        report: Told (healthy, why not) when a threshold is reached; returns whether to go on.
    """
    if until.wait(probe.initial_delay):
        return
    healthy: bool | None = None
    in_a_row, last = 0, None
    while not until.is_set():
        failure = probe.ask(probe.timeout)
        succeeded = failure is None
        in_a_row = in_a_row + 1 if succeeded == last else 1
        last = succeeded
        needed = probe.success_threshold if succeeded else probe.failure_threshold
        if in_a_row >= needed and succeeded != healthy and not until.is_set():
            healthy = succeeded
            if not report(succeeded, failure or ""):
                return
        until.wait(probe.period)


def _handler(spec: Mapping[str, Any], place: Place) -> Ask:
    if http_get := spec.get("httpGet"):
        return lambda timeout: _http_get(http_get, place, timeout)
    if tcp := spec.get("tcpSocket"):
        return lambda timeout: _tcp(tcp, place, timeout)
    if command := spec.get("exec"):
        return lambda timeout: _exec([place.rewrite(word) for word in command["command"]], place, timeout)
    raise ValueError(f"a probe with {sorted(spec)} is not supported: httpGet, tcpSocket or exec")


def _http_get(spec: Mapping[str, Any], place: Place, timeout: float) -> str | None:
    port = place.port(spec["port"])
    if port is None:
        return f"no port is named {spec['port']!r}"
    tls = str(spec.get("scheme", "HTTP")).upper() == "HTTPS"
    connect = _unverified if tls else http.client.HTTPConnection
    connection = connect(spec.get("host") or place.address, port, timeout=timeout)
    headers = {h["name"]: h["value"] for h in spec.get("httpHeaders") or []}
    try:
        connection.request(
            "GET", spec.get("path") or "/", headers={"user-agent": "kube-probe/local"} | headers
        )
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"HTTP probe failed: {error}"
    finally:
        connection.close()
    return None if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"


def _unverified(host: str, port: int, timeout: float) -> http.client.HTTPSConnection:
    # As the kubelet does: a probe asks whether the pod answers, not who it is.
    import ssl

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)


def _tcp(spec: Mapping[str, Any], place: Place, timeout: float) -> str | None:
    port = place.port(spec["port"])
    if port is None:
        return f"no port is named {spec['port']!r}"
    try:
        socket.create_connection((spec.get("host") or place.address, port), timeout).close()
    except OSError as error:
        return f"TCP probe failed: {error}"
    return None


def _exec(argv: list[str], place: Place, timeout: float) -> str | None:
    try:
        process = subprocess.Popen(
            argv,
            env=dict(place.env),
            cwd=place.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return f"exec probe could not start {os.path.basename(argv[0])!r}: {error}"
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        output = b"timed out"
    finally:
        kill_group(process.pid)
        process.communicate()
    return (
        None if process.returncode == 0 else output[-500:].decode(errors="replace").strip() or "exec failed"
    )
