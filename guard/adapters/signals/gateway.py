"""Requests per backend and status code, from the gateway's own counters (Traefik).

Owns scraping every gateway pod and turning cumulative counters into what was added since the last reading;
a counter that restarts counts from zero. Counts users' requests: the guard's own go past the gateway.
Refuses to judge; a gateway that cannot be read is an error to show, never a zero.

Traefik counts a request when it has *ended*: a long stream shows here only after its last token.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import httpx

from guard.adapters.trust import default_trust
from guard.errors import UnreachableError

_COUNTER = "traefik_service_requests_total"
_SAMPLE = re.compile(r"^(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Series = tuple[str, str, str]
"""Gateway pod, backend as the gateway names it, status code."""


@dataclass(frozen=True)
class Count:
    """Requests that ended with one status code on one backend, since the reading before."""

    backend: str
    code: str
    requests: int


class GatewayCounters:
    """Successive readings of all pods of one gateway."""

    def __init__(self, timeout_seconds: float = 2.0) -> None:
        self._http = httpx.Client(timeout=timeout_seconds, trust_env=False, verify=default_trust())
        self._previous: dict[str, dict[Series, float]] = {}

    def close(self) -> None:
        self._http.close()

    def read(self, urls: Iterable[str]) -> list[Count]:
        """What was added since the last reading; nothing at a pod's first reading.

        Raises:
            UnreachableError: A gateway pod did not answer with metrics. Nothing is lost: the next
                reading counts from the last good one.
        """
        added: dict[tuple[str, str], float] = {}
        # All pods first: were one pod's counts taken and the next did not answer, they would be lost.
        scraped = {url: self._scrape(url) for url in urls}
        for url, current in scraped.items():
            for (_, backend, code), count in increments(self._previous.get(url), current).items():
                added[backend, code] = added.get((backend, code), 0) + count
            self._previous[url] = current
        return [Count(backend, code, round(n)) for (backend, code), n in sorted(added.items()) if n > 0]

    def _scrape(self, url: str) -> dict[Series, float]:
        try:
            response = self._http.get(url)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise UnreachableError(f"the gateway's metrics at {url} could not be read: {error}") from error
        return parse_counters(url, response.text)


def parse_counters(pod: str, text: str) -> dict[Series, float]:
    """`traefik_service_requests_total` by backend and code, methods and protocols summed."""
    found: dict[Series, float] = {}
    for line in text.splitlines():
        if not line.startswith(_COUNTER):
            continue  # the exposition has thousands of other lines; a full parser costs 20 times as much
        match = _SAMPLE.match(line)
        if match:
            labels = dict(_LABEL.findall(match["labels"]))
            series = (pod, labels.get("service", ""), labels.get("code", ""))
            found[series] = found.get(series, 0) + float(match["value"])
    return found


def increments(
    previous: Mapping[Series, float] | None, current: Mapping[Series, float]
) -> dict[Series, float]:
    """What was added between two readings; a value that fell was restarted, and counts from zero."""
    if previous is None:
        return {}
    added = {series: value - previous.get(series, 0) for series, value in current.items()}
    return {series: current[series] if delta < 0 else delta for series, delta in added.items()}


def backend_of(name: str, namespace: str, services: Iterable[str]) -> str | None:
    """Which of our Services a Traefik service name stands for; None for any other.

    Traefik names a Gateway API backend `...-NAMESPACE-SERVICE-PORT@kubernetesgateway`, in newer versions
    with an index in the port's place.
    """
    stem, _, provider = name.partition("@")
    if provider != "kubernetesgateway":
        return None
    base = re.sub(r"-[^-]+$", "", stem)
    ends = [s for s in services if base == f"{namespace}-{s}" or base.endswith(f"-{namespace}-{s}")]
    return max(ends, key=len, default=None)
