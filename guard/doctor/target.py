"""One Guard: is its target as stated, and can everything be asked that it names?"""

from collections.abc import Iterator, Mapping
from typing import Any

from guard.adapters.chat import ChatClient
from guard.adapters.endpoint import Endpoint, Timeouts
from guard.adapters.kubernetes.client import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    HTTP_ROUTES,
    KubernetesClient,
    Object,
)
from guard.adapters.kubernetes.secrets import read_secret
from guard.adapters.kubernetes.services import service_name
from guard.adapters.routers.httproute import read_route
from guard.adapters.runtimes import served_models
from guard.adapters.workloads import endpoint_addresses
from guard.api.fields import parse
from guard.api.guard import GuardSpec, Track
from guard.doctor.finding import Finding, ok, problem, unknown, warning
from guard.doctor.gateway import ASK_INSIDE, examine_gateway
from guard.errors import ConfigurationError, TidegateError, UnauthorizedError

_TIMEOUTS = Timeouts(connect=2.0, read=5.0, total=10.0)


def read_spec(guard: Object) -> GuardSpec:
    """Raises ConfigurationError in the words of the Guard's own condition."""
    return parse(GuardSpec, guard["spec"], f"Guard {guard['metadata']['name']}: spec")


def gateway_namespace(spec: GuardSpec) -> str | None:
    """Where the gateway's Service is; None where its URL names none."""
    name = service_name(spec.signals.gateway.url)
    return name[0] if name else None


def examine_guard(client: KubernetesClient, namespace: str, name: str, spec: GuardSpec) -> Iterator[Finding]:
    """Everything that one Guard names, in the order in which a Change meets it."""
    subject = f"guard {name}"
    yield _route(client, namespace, subject, spec)
    references = spec.to_document()
    yield from _secrets(client, namespace, subject, references)
    yield from _config_maps(client, namespace, subject, references)
    for side, track in (("stable", spec.target.stable), ("canary", spec.target.canary)):
        yield _workload(client, namespace, subject, side, track)
        yield from _runtime(client, namespace, subject, side, track, spec)
    yield from examine_gateway(client, subject, spec.signals.gateway.url)


def _route(client: KubernetesClient, namespace: str, subject: str, spec: GuardSpec) -> Finding:
    target = spec.target
    try:
        route = client.get(HTTP_ROUTES, namespace, target.route.name)
        state = read_route(route, target.stable.service, target.canary.service)
    except TidegateError as error:
        remedy = "name in target the route whose rule has both Services (docs/guard.md)"
        return problem(subject, f"its route cannot be used: {error}", remedy)
    return ok(subject, f"HTTPRoute {state.name} gives the canary {state.weight_percent} %")


def _secrets(client: KubernetesClient, namespace: str, subject: str, document: Object) -> Iterator[Finding]:
    for reference in _named(document, "secretRef"):
        name, key = reference["name"], reference["key"]
        try:
            read_secret(client, namespace, name, key)
        except UnauthorizedError as error:
            remedy = f"grant get on secrets with resourceNames: [{name}] in {namespace}"
            yield problem(subject, f"Secret {name} may not be read: {error}", remedy)
        except TidegateError as error:
            remedy = f"kubectl create secret generic {name} -n {namespace} --from-file={key}=FILE"
            yield problem(subject, f"Secret {name} gives no {key}: {error}", remedy)
        else:
            yield ok(subject, f"Secret {name} has {key}")


def _config_maps(
    client: KubernetesClient, namespace: str, subject: str, document: Object
) -> Iterator[Finding]:
    for name in _named(document, "configMap"):
        try:
            client.get(CONFIG_MAPS, namespace, name)
        except TidegateError as error:
            remedy = f"kubectl create configmap {name} -n {namespace} --from-file=FILE"
            yield problem(subject, f"ConfigMap {name} with eval items cannot be read: {error}", remedy)
        else:
            yield ok(subject, f"ConfigMap {name} is there")


def _workload(client: KubernetesClient, namespace: str, subject: str, side: str, track: Track) -> Finding:
    name = track.workload.name
    try:
        deployment = client.get(DEPLOYMENTS, namespace, name)
    except TidegateError as error:
        remedy = f"name the {side}'s Deployment in target.{side}.workload"
        return problem(subject, f"Deployment {name} ({side}) cannot be read: {error}", remedy)
    return ok(subject, f"Deployment {name} ({side}) wants {deployment['spec'].get('replicas', 1)} replicas")


def _runtime(
    client: KubernetesClient, namespace: str, subject: str, side: str, track: Track, spec: GuardSpec
) -> Iterator[Finding]:
    """Each serving pod of one side. What the canary lacks is for the suites to judge."""
    try:
        slices = client.list(ENDPOINT_SLICES, namespace)["items"]
    except TidegateError as error:
        yield unknown(subject, f"the pods of Service {track.service} are not known: {error}", "see rights")
        return
    addresses = endpoint_addresses(track.service, namespace, slices)
    if not addresses:
        message = f"Service {track.service} ({side}) has no ready endpoint"
        if side == "canary":
            yield ok(subject, f"{message}: no Change is under way")
        else:
            remedy = (
                f"kubectl describe service {track.service} -n {namespace}: do selector and readiness fit?"
            )
            yield problem(subject, f"{message}: no user is served, and nothing can be compared with", remedy)
        return
    key = _api_key(client, namespace, spec)
    for address in addresses:
        host = f"[{address.ip}]" if ":" in address.ip else address.ip
        endpoint = Endpoint(f"http://{host}:{spec.target.runtime.port}", api_key=key, pod=address.pod or None)
        yield _asked(subject, side, endpoint, spec)


def _api_key(client: KubernetesClient, namespace: str, spec: GuardSpec) -> str | None:
    if spec.target.auth is None:
        return None
    reference = spec.target.auth.secret_ref
    try:
        return read_secret(client, namespace, reference.name, reference.key)
    except TidegateError:
        return None  # `_secrets` has said so


def _asked(subject: str, side: str, endpoint: Endpoint, spec: GuardSpec) -> Finding:
    bad = problem if side == "stable" else warning
    where = f"{side} pod {endpoint.pod or endpoint.url}"
    runtime = spec.target.runtime
    try:
        with ChatClient(endpoint, timeouts=_TIMEOUTS) as chat:
            served = [model.id for model in served_models(chat)]
            metrics = chat.get(runtime.metrics_path).status_code
    except UnauthorizedError:
        message = f"{where} refuses the key"
        return bad(
            subject, message, "put the runtime's API key into a Secret and name it in target.auth.secretRef"
        )
    except TidegateError as error:
        return bad(subject, f"{where} cannot be asked: {error}", ASK_INSIDE)
    lacking = [model for model in runtime.models if model not in served]
    if lacking:
        message = f"{where} does not serve {', '.join(lacking)}; it serves {', '.join(served) or 'nothing'}"
        return bad(subject, message, "correct target.runtime.models, or what is rolled out")
    if metrics != 200:
        remedy = (
            "enable the runtime's metrics, or correct target.runtime.metricsPath: open streams are not seen"
        )
        return warning(subject, f"{where} answers {metrics} at {runtime.metrics_path}", remedy)
    return ok(subject, f"{where} serves {', '.join(runtime.models)} and its metrics")


def _named(document: Any, key: str) -> Iterator[Any]:
    """What stands under a key, wherever it is in the document."""
    parts = document.values() if isinstance(document, Mapping) else document
    if isinstance(document, Mapping) and key in document:
        yield document[key]
    if isinstance(document, Mapping | list | tuple):
        for part in parts:
            yield from _named(part, key)


def refused(guard: Object, error: ConfigurationError) -> Finding:
    """A Guard that says what it may not."""
    remedy = "correct it; `tidegate config schema guard` has all fields"
    return problem(f"guard {guard['metadata']['name']}", str(error), remedy)
