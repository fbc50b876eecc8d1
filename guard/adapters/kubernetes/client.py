"""Kubernetes as dicts over HTTP: one call, one explicit content type, one explicit timeout.

The official `kubernetes` package gives credentials, TLS and the connection pool; its typed models are not
used (they drop fields they do not know), nor its patch methods (a list patch on a custom object goes out as
a merge patch). Refuses to know what the objects mean. Thread-safe: urllib3's pool is.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from guard.errors import (
    ConfigurationError,
    ConflictError,
    GoneError,
    NotFoundError,
    TidegateError,
    UnauthorizedError,
    UnreachableError,
)

Object = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0


class InvalidError(TidegateError):
    """The API server refused the object or the patch as it stands (400, 422)."""


@dataclass(frozen=True)
class Resource:
    """A kind's place in the API: `Resource("apps", "v1", "deployments")`; core has the group ""."""

    group: str
    version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        tail = f"/{name}" if name else ""
        return f"{root}{scope}/{self.plural}{tail}" + (f"/{subresource}" if subresource else "")


PODS = Resource("", "v1", "pods")
SERVICES = Resource("", "v1", "services")
SECRETS = Resource("", "v1", "secrets")
CONFIG_MAPS = Resource("", "v1", "configmaps")
NAMESPACES = Resource("", "v1", "namespaces", namespaced=False)
EVENTS = Resource("events.k8s.io", "v1", "events")
LEASES = Resource("coordination.k8s.io", "v1", "leases")
DEPLOYMENTS = Resource("apps", "v1", "deployments")
REPLICA_SETS = Resource("apps", "v1", "replicasets")
JOBS = Resource("batch", "v1", "jobs")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices")
HTTP_ROUTES = Resource("gateway.networking.k8s.io", "v1", "httproutes")
CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", namespaced=False
)
GUARDS = Resource("tidegate.dev", "v1alpha1", "guards")
CHANGES = Resource("tidegate.dev", "v1alpha1", "changes")
ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", namespaced=False)
IDENTITY_REVIEWS = Resource("authentication.k8s.io", "v1", "selfsubjectreviews", namespaced=False)
SUITE_RUNS = Resource("tidegate.dev", "v1alpha1", "suiteruns")


class KubernetesClient:
    """The few calls that Tidegate makes. Every object is a plain dict as the server sent it."""

    def __init__(
        self,
        kubeconfig: str | None = None,
        context: str | None = None,
        user_agent: str = "tidegate",
        impersonate: str | None = None,
    ) -> None:
        """Credentials from `kubeconfig`, else $KUBECONFIG or ~/.kube/config, else the pod's service account.

        Args:
            impersonate: The user to act as (`system:serviceaccount:NAMESPACE:NAME`), as `kubectl --as` does.
        Raises:
            ConfigurationError: There are none, or they do not parse.
        """
        from kubernetes import client, config

        settings: Any = client.Configuration()
        try:
            _load_credentials(config, settings, kubeconfig, context)
        except (config.ConfigException, ValueError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"no usable Kubernetes credentials: {_why_no_credentials(kubeconfig, context)}; "
                "set KUBECONFIG, or pass --kubeconfig FILE"
            ) from error
        self.url = str(settings.host).rstrip("/")
        self._settings = settings
        self._pool = client.ApiClient(settings).rest_client.pool_manager
        self._headers = {"Accept": "application/json", "User-Agent": user_agent}
        if impersonate:
            self._headers["Impersonate-User"] = impersonate

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return self._object("GET", resource.path(namespace, name))

    def list(
        self, resource: Resource, namespace: str | None = None, labels: str = "", fields: str = ""
    ) -> Object:
        """The whole list object: `items`, and `metadata.resourceVersion` to watch from."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        return self._object("GET", resource.path(namespace), query={k: v for k, v in query.items() if v})

    def create(self, resource: Resource, namespace: str | None, body: Object) -> Object:
        return self._object("POST", resource.path(namespace), body=body)

    def replace(
        self, resource: Resource, namespace: str | None, name: str, body: Object, subresource: str = ""
    ) -> Object:
        """PUT; the body's metadata.resourceVersion makes it fail with ConflictError when stale."""
        return self._object("PUT", resource.path(namespace, name, subresource), body=body)

    def patch_json(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        operations: Sequence[Mapping[str, Any]],
        subresource: str = "",
        dry_run: bool = False,
    ) -> Object:
        """RFC 6902. A failed `test` raises ConflictError."""
        path = resource.path(namespace, name, subresource)
        query = {"dryRun": "All"} if dry_run else {}
        return self._object("PATCH", path, body=list(operations), content_type=JSON_PATCH, query=query)

    def patch_merge(
        self, resource: Resource, namespace: str | None, name: str, body: Object, subresource: str = ""
    ) -> Object:
        """RFC 7386: null removes a key, lists are replaced whole."""
        path = resource.path(namespace, name, subresource)
        return self._object("PATCH", path, body=body, content_type=MERGE_PATCH)

    def delete(
        self, resource: Resource, namespace: str | None, name: str, grace_seconds: int | None = None
    ) -> Object:
        query = {} if grace_seconds is None else {"gracePeriodSeconds": str(grace_seconds)}
        return self._object("DELETE", resource.path(namespace, name), query=query)

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        resource_version: str,
        *,
        labels: str = "",
        seconds: int = 300,
        idle_seconds: float | None = None,
    ) -> Iterator[tuple[str, Object]]:
        """Yields (`ADDED` | `MODIFIED` | `DELETED` | `BOOKMARK`, object) until the server ends the watch.

        Args:
            seconds: Asked of the server; the iterator then ends normally.
            idle_seconds: Read timeout; must exceed the server's bookmark period (about a minute).
        Raises:
            GoneError: The version is compacted: list again.
            UnreachableError: The stream broke, or was silent for `idle_seconds`.
        """
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
        }
        if labels:
            query["labelSelector"] = labels
        response = self._send(
            "GET", resource.path(namespace), query, read_seconds=idle_seconds or seconds + 10
        )
        for line in self._lines(response):
            try:
                event = json.loads(line)
            except ValueError as error:
                raise UnreachableError(f"the watch of {resource.plural} broke off in a line") from error
            if event["type"] == "ERROR":
                raise _error(int(event["object"].get("code", 500)), event["object"], resource.path(namespace))
            yield event["type"], event["object"]

    def log(
        self,
        namespace: str,
        pod: str,
        since_seconds: int,
        *,
        follow: bool = False,
        read_seconds: float = READ_SECONDS,
    ) -> Iterator[bytes]:
        """Whole lines of the last `since_seconds` of a pod's log, without line ends.

        Args:
            since_seconds: By the server's clock; at least 1.
            follow: Go on until the container ends.
            read_seconds: Longest silence. A log that is followed may be silent from the start: a kubelet
                answers with its first line.
        Raises:
            UnreachableError: No answer, a broken stream, or a silence of `read_seconds`.
        """
        query = {"sinceSeconds": str(since_seconds)} | ({"follow": "true"} if follow else {})
        response = self._send("GET", PODS.path(namespace, pod, "log"), query, read_seconds=read_seconds)
        yield from self._lines(response)

    def read_log(self, namespace: str, pod: str, lines: int) -> Sequence[bytes]:
        """The last lines of the pod's log, without line ends."""
        query = {"tailLines": str(lines)}
        return tuple(self._lines(self._send("GET", PODS.path(namespace, pod, "log"), query)))

    def served(self, group: str, version: str) -> set[str]:
        """What the group serves in this version, as discovery tells: `guards`, `guards/status`.

        Raises:
            NotFoundError: The group is not there, or not in this version.
        """
        found = self._object("GET", f"/apis/{group}/{version}" if group else f"/api/{version}")
        return {resource["name"] for resource in found.get("resources") or []}

    def server_time(self) -> float | None:
        """Unix seconds on the API server's clock, in whole seconds; None when it does not tell."""
        response = self._send("GET", "/version", {})
        try:
            return parsedate_to_datetime(response.headers["date"]).timestamp()
        except (KeyError, ValueError):
            return None
        finally:
            response.close()

    def _object(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Object:
        response = self._send(method, path, query or {}, body, content_type)
        import urllib3

        try:
            document: Object = json.loads(response.data or b"{}")
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(f"the answer of {self.url}{path} broke off: {error}") from error
        except ValueError as error:
            raise UnreachableError(
                f"{self.url}{path} did not answer in JSON: is it a Kubernetes API?"
            ) from error
        return document

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any = None,
        content_type: str = "application/json",
        read_seconds: float | None = READ_SECONDS,
    ) -> Any:
        """One request; the response's body is not read yet. Raises one of guard.errors."""
        import urllib3

        headers = dict(self._headers)
        for setting in self._settings.auth_settings().values():  # refreshes an expired token by its hook
            headers[setting["key"]] = setting["value"]
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = json.dumps(body).encode()
        url = self.url + path + (f"?{urlencode(query)}" if query else "")
        try:
            response = self._pool.request(
                method,
                url,
                body=data,
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
                preload_content=False,
                retries=False,
            )
            if response.status >= 400:
                raise _error(response.status, _status_of(response.data), path)
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(
                f"the Kubernetes API at {self.url} did not answer {method} {path}: {error}"
            ) from error
        return response

    def _lines(self, response: Any) -> Iterator[bytes]:
        """Lines of an open response as they arrive; closes the connection when the caller stops."""
        import urllib3

        pending = b""
        try:
            # read1 returns what has arrived; stream() would wait to fill its buffer.
            while chunk := response.read1():
                *lines, pending = (pending + chunk).split(b"\n")
                yield from lines
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnreachableError(f"the stream from {self.url} broke: {error}") from error
        finally:
            response.close()


def kubeconfig_user(kubeconfig: str | None = None, context: str | None = None) -> str | None:
    """The user's name in the kubeconfig's context; None where there is no such file or context."""
    from kubernetes import config
    from yaml import YAMLError

    try:
        contexts, current = config.list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]
    except (config.ConfigException, YAMLError, TypeError, AttributeError, OSError):
        return None
    wanted = next((c for c in contexts if c["name"] == context), current)
    name = (wanted or {}).get("context", {}).get("user")
    return str(name) if name else None


def _load_credentials(config: Any, settings: Any, kubeconfig: str | None, context: str | None) -> None:
    if kubeconfig is None and context is None and not _kubeconfigs():
        # Not by load_config: it prints its own guesses on stdout first.
        config.load_incluster_config(client_configuration=settings)
        return
    config.load_kube_config(config_file=kubeconfig, context=context, client_configuration=settings)


def _kubeconfigs() -> Sequence[str]:
    """The files of $KUBECONFIG, else ~/.kube/config, that are there."""
    named = os.environ.get("KUBECONFIG") or "~/.kube/config"
    return [path for path in map(os.path.expanduser, named.split(os.pathsep)) if os.path.exists(path)]


def _why_no_credentials(kubeconfig: str | None, context: str | None) -> str:
    files = [kubeconfig] if kubeconfig else [*_kubeconfigs()]
    if not files or not os.path.exists(files[0]):
        named = kubeconfig or os.environ.get("KUBECONFIG")
        return f"{named} does not exist" if named else "no kubeconfig, and not in a cluster"
    asked = f", or has no context {context}" if context else ""
    return f"{', '.join(files)} is no kubeconfig that can be used{asked}"


def _status_of(data: bytes) -> Object:
    try:
        document = json.loads(data)
    except ValueError:
        return {"message": data[:200].decode(errors="replace")}
    return document if isinstance(document, dict) else {}


def _error(code: int, status: Mapping[str, Any], path: str) -> TidegateError:
    """The one error of ours that an HTTP status stands for."""
    message = f"{path}: {status.get('message') or status.get('reason') or 'no message'} ({code})"
    if code in (401, 403):
        return UnauthorizedError(message)
    if code == 404:
        return NotFoundError(message)
    if code == 409:
        return ConflictError(message)
    if code == 410:
        return GoneError(message)
    if code == 422 and _failed_test(status):
        return ConflictError(message)
    if code in (400, 422):
        return InvalidError(message)
    return UnreachableError(message)


def _failed_test(status: Mapping[str, Any]) -> bool:
    # The API server keeps json-patch's own words to itself: of a patch that does not apply to the object as
    # it is now (a failed `test`, a path that is gone) it says this, and of nothing else.
    return str(status.get("message", "")).startswith("the server rejected our request due to an error in our")
