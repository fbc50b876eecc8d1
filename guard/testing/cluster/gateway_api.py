"""The Gateway API's kinds, for clusters where nobody applied the official definitions.

Our own minimal schemas: permissive, with the one default that routers and guards rely on (a backendRef's
weight is 1) and the shape of `rules`. Applying the official definitions replaces these.
"""

from typing import Any

from guard.testing.cluster.objects import Json

GROUP = "gateway.networking.k8s.io"

_OPEN: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_PARENT_REFS: Json = {"type": "array", "items": _OPEN}


def _backends(**more: Any) -> Json:
    properties: Json = {
        "group": {"type": "string", "default": ""},
        "kind": {"type": "string", "default": "Service"},
        "name": {"type": "string", "minLength": 1},
        "namespace": {"type": "string"},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "weight": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 1000000, "default": 1},
    }
    item = {"type": "object", "required": ["name"], "properties": properties | more}
    return {"type": "array", "items": item}


def _route(**rule: Any) -> Json:
    """A route's spec: parents, hostnames and rules with backends."""
    rules = {"type": "object", "properties": {"backendRefs": _backends(filters=_PARENT_REFS)} | rule}
    return {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": {
            "parentRefs": _PARENT_REFS,
            "hostnames": {"type": "array", "items": {"type": "string"}},
            "rules": {"type": "array", "maxItems": 16, "items": rules | _OPEN},
        },
    }


_MATCHES: Json = {
    "type": "array",
    "default": [{"path": {"type": "PathPrefix", "value": "/"}}],
    "items": _OPEN,
}


def _column(name: str, path: str, kind: str = "string") -> Json:
    return {"name": name, "jsonPath": path, "type": kind}


_AGE = _column("Age", ".metadata.creationTimestamp", "date")
_HOSTNAMES = [_column("Hostnames", ".spec.hostnames"), _AGE]
_GATEWAY_COLUMNS = [
    _column("Class", ".spec.gatewayClassName"),
    _column("Address", ".status.addresses[*].value"),
    _column("Programmed", '.status.conditions[?(@.type=="Programmed")].status'),
    _AGE,
]
_CLASS_COLUMNS = [
    _column("Controller", ".spec.controllerName"),
    _column("Accepted", '.status.conditions[?(@.type=="Accepted")].status'),
    _AGE,
]


def _version(name: str, spec: Json, columns: list[Json], *, storage: bool = True) -> Json:
    schema = {"type": "object", "properties": {"spec": spec, "status": _OPEN}, "required": ["spec"]}
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
    }


def _definition(
    plural: str, kind: str, versions: list[Json], *, short: str = "", scope: str = "Namespaced"
) -> Json:
    names: Json = {"plural": plural, "kind": kind, "singular": kind.lower(), "listKind": f"{kind}List"}
    names |= {"shortNames": [short]} if short else {}
    names["categories"] = ["gateway-api"]
    spec = {"group": GROUP, "scope": scope, "names": names, "versions": versions}
    head = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    annotations = {"gateway.networking.k8s.io/bundle-version": "v1.5.1"}
    return head | {"metadata": {"name": f"{plural}.{GROUP}", "annotations": annotations}, "spec": spec}


def definitions() -> list[Json]:
    """One CustomResourceDefinition for each kind; apply them to register the Gateway API."""
    grant = [_version("v1", _OPEN, [_AGE]), _version("v1beta1", _OPEN, [_AGE], storage=False)]
    listeners: Json = {
        "type": "object",
        "required": ["gatewayClassName", "listeners"],
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": {
            "gatewayClassName": {"type": "string", "minLength": 1},
            "listeners": {"type": "array", "minItems": 1, "maxItems": 64, "items": _OPEN},
        },
    }
    http = [_version("v1", _route(matches=_MATCHES), _HOSTNAMES)]
    return [
        _definition(
            "gatewayclasses",
            "GatewayClass",
            [_version("v1", _OPEN, _CLASS_COLUMNS)],
            short="gc",
            scope="Cluster",
        ),
        _definition("gateways", "Gateway", [_version("v1", listeners, _GATEWAY_COLUMNS)], short="gtw"),
        _definition("httproutes", "HTTPRoute", http),
        _definition("grpcroutes", "GRPCRoute", [_version("v1", _route(), _HOSTNAMES)]),
        _definition("tlsroutes", "TLSRoute", [_version("v1", _route(), _HOSTNAMES)]),
        _definition("tcproutes", "TCPRoute", [_version("v1alpha2", _route(), [_AGE])]),
        _definition("udproutes", "UDPRoute", [_version("v1alpha2", _route(), [_AGE])]),
        _definition("referencegrants", "ReferenceGrant", grant, short="refgrant"),
        _definition(
            "backendtlspolicies", "BackendTLSPolicy", [_version("v1", _OPEN, [_AGE])], short="btlspolicy"
        ),
    ]
