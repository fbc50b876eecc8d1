"""From a Service's URL to the URLs of its ready endpoints.

A gateway with several pods has a counter in each: through the Service's one address a reader would get a
random pod's. Refuses to know what is asked there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from guard.adapters.kubernetes.client import Object


@dataclass(frozen=True)
class EndpointUrl:
    """One ready endpoint; `namespace` and `pod` where a Service's pod is behind it."""

    url: str
    namespace: str | None = None
    pod: str | None = None


def endpoint_urls(url: str, services: Iterable[Object], slices: Iterable[Object]) -> list[EndpointUrl]:
    """One URL for each ready endpoint where the host is `NAME.NAMESPACE[.svc[.cluster.local]]` of a Service.

    Any other URL comes back as it is, alone. A Service without ready endpoints gives none.
    """
    parts = urlsplit(url)
    name = service_name(url)
    wanted = next((s for s in services if _key(s) == name), None)
    if name is None or wanted is None:
        return [EndpointUrl(url)]
    port_name = _port_name(wanted, parts.port or (443 if parts.scheme == "https" else 80))
    found = set()
    for part in slices:
        owner = (part["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
        if (part["metadata"]["namespace"], owner) != name:
            continue
        ports = [p["port"] for p in part.get("ports") or [] if (p.get("name") or "") == port_name]
        for endpoint in part.get("endpoints") or []:
            if ports and (endpoint.get("conditions") or {}).get("ready") is not False:
                pod = (endpoint.get("targetRef") or {}).get("name")
                address = endpoint["addresses"][0]
                found.add(EndpointUrl(f"{parts.scheme}://{address}:{ports[0]}{parts.path}", name[0], pod))
    return sorted(found, key=lambda endpoint: endpoint.url)


def service_name(url: str) -> tuple[str, str] | None:
    """(namespace, name) of the Service that a URL's host may stand for; None for an address or other name."""
    labels = (urlsplit(url).hostname or "").split(".")
    if len(labels) < 2 or labels[2:] not in ([], ["svc"], ["svc", "cluster", "local"]):
        return None
    return labels[1], labels[0]


def _key(service: Object) -> tuple[str, str]:
    return service["metadata"]["namespace"], service["metadata"]["name"]


def _port_name(service: Object, port: int) -> str | None:
    return next((p.get("name") or "" for p in service["spec"].get("ports") or [] if p["port"] == port), None)
