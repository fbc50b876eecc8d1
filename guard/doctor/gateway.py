"""The gateway of a Guard: where users' requests are counted, and logged."""

from collections.abc import Iterator

import httpx

from guard.adapters.kubernetes.client import ENDPOINT_SLICES, SERVICES, KubernetesClient
from guard.adapters.kubernetes.services import EndpointUrl, endpoint_urls, service_name
from guard.adapters.signals.access_log import parse_line
from guard.adapters.signals.gateway import parse_counters
from guard.adapters.trust import default_trust
from guard.doctor.finding import Finding, ok, problem, warning
from guard.errors import TidegateError, UnauthorizedError

LOG_LINES = 200
READ_SECONDS = 5.0
ASK_INSIDE = "from outside of the cluster, ask inside: kubectl exec deploy/tidegate-guard -- tidegate doctor"


def examine_gateway(client: KubernetesClient, subject: str, url: str) -> Iterator[Finding]:
    """Each ready pod behind the URL of a Guard's `signals.gateway`."""
    try:
        endpoints = _pods(client, url)
    except TidegateError as error:
        yield problem(subject, f"the gateway's pods are not known: {error}", "see rights")
        return
    if not endpoints:
        remedy = "correct signals.gateway.url: NAME.NAMESPACE of a Service, and a port that it has"
        yield problem(subject, f"no ready endpoint behind {url}", remedy)
    for endpoint in endpoints:
        yield _metrics(subject, endpoint)
        if endpoint.namespace and endpoint.pod:
            yield _access_log(client, subject, endpoint.namespace, endpoint.pod)


def _pods(client: KubernetesClient, url: str) -> list[EndpointUrl]:
    name = service_name(url)
    if name is None:
        return [EndpointUrl(url)]
    services = client.list(SERVICES, name[0])["items"]
    return endpoint_urls(url, services, client.list(ENDPOINT_SLICES, name[0])["items"])


def _metrics(subject: str, endpoint: EndpointUrl) -> Finding:
    where = f"the metrics of gateway pod {endpoint.pod}" if endpoint.pod else f"the gateway at {endpoint.url}"
    try:
        answer = httpx.get(endpoint.url, timeout=READ_SECONDS, trust_env=False, verify=default_trust())
        answer.raise_for_status()
    except httpx.HTTPError as error:
        return problem(subject, f"{where} cannot be read: {error}", ASK_INSIDE)
    if not parse_counters(endpoint.url, answer.text):
        remedy = "if users are served: --metrics.prometheus.addserviceslabels=true, and is it the right port?"
        return warning(subject, f"{where} count no requests to any Service", remedy)
    return ok(subject, f"{where} can be read")


def _access_log(client: KubernetesClient, subject: str, namespace: str, pod: str) -> Finding:
    """Optional for the guard: without it, a rollback's last new request is known by counters only."""
    where = f"the access log of gateway pod {pod}"
    try:
        lines = client.read_log(namespace, pod, LOG_LINES)
    except UnauthorizedError as error:
        return warning(subject, f"{where} may not be read: {error}", f"grant get on pods/log in {namespace}")
    except TidegateError as error:
        return warning(subject, f"{where} cannot be read: {error}", f"kubectl logs -n {namespace} {pod}")
    if not any(parse_line(line) for line in lines):
        remedy = "if users are served: --accesslog=true --accesslog.format=json, on stdout"
        return warning(subject, f"{where} has no request in its last {LOG_LINES} lines", remedy)
    return ok(subject, f"{where} can be read")
