"""From a Service's URL to the URLs of its ready endpoints.

A gateway with several pods has a counter in each: through the Service's one address a reader would get a
random pod's. Refuses to know what is asked there.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from guard.adapters.kubernetes.client import Object


def endpoint_urls(url: str, services: Iterable[Object], slices: Iterable[Object]) -> list[str]:
    """One URL for each ready endpoint where the host is `NAME.NAMESPACE[.svc[.cluster.local]]` of a Service.

    Any other URL comes back as it is, alone. A Service without ready endpoints gives none.
    """
    parts = urlsplit(url)
    labels = (parts.hostname or "").split(".")
    service = _service(labels, services)
    if service is None:
        return [url]
    name, namespace = labels[0], labels[1]
    port_name = _port_name(service, parts.port or (443 if parts.scheme == "https" else 80))
    found = []
    for part in slices:
        owner = (part["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
        if part["metadata"]["namespace"] != namespace or owner != name:
            continue
        ports = [p["port"] for p in part.get("ports") or [] if (p.get("name") or "") == port_name]
        for endpoint in part.get("endpoints") or []:
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                found += [
                    f"{parts.scheme}://{a}:{ports[0]}{parts.path}" for a in endpoint["addresses"] if ports
                ]
    return sorted(set(found))


def _service(labels: list[str], services: Iterable[Object]) -> Object | None:
    if len(labels) < 2 or labels[2:] not in ([], ["svc"], ["svc", "cluster", "local"]):
        return None
    wanted = (labels[1], labels[0])
    return next((s for s in services if (s["metadata"]["namespace"], s["metadata"]["name"]) == wanted), None)


def _port_name(service: Object, port: int) -> str | None:
    return next((p.get("name") or "" for p in service["spec"].get("ports") or [] if p["port"] == port), None)
