"""Objects that the contract tests write."""

from dataclasses import dataclass

from tests.testing.cluster.api_client import Json

GROUP = "test.tidegate.dev"


@dataclass(frozen=True)
class Kind:
    """A kind of objects with `data`."""

    group: str
    kind: str
    plural: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/v1" if self.group else "v1"

    @property
    def qualified(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


CONFIG_MAP = Kind("", "ConfigMap", "configmaps")
NOTE = Kind(GROUP, "Note", "notes")


@dataclass(frozen=True)
class Collection:
    """The objects of one kind in one namespace; called with a name, the path of that object."""

    kind: Kind
    namespace: str

    @property
    def path(self) -> str:
        root = f"/apis/{self.kind.api_version}" if self.kind.group else "/api/v1"
        return f"{root}/namespaces/{self.namespace}/{self.kind.plural}"

    def __call__(self, name: str) -> str:
        return f"{self.path}/{name}"

    def document(self, name: str = "a", data: dict[str, str] | None = None, **metadata: object) -> Json:
        """An object that is whole; `metadata` has further members."""
        head = {"apiVersion": self.kind.api_version, "kind": self.kind.kind}
        body = head | {"metadata": ({"name": name} if name else {}) | metadata}
        return body if data is None else body | {"data": data}


NOTES: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "notes.test.tidegate.dev"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "notes", "kind": "Note"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "data": {"type": "object", "additionalProperties": {"type": "string"}}
                        },
                    }
                },
            }
        ],
    },
}

THINGS: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.test.tidegate.dev"},
    "spec": {
        "group": "test.tidegate.dev",
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing", "shortNames": ["th"], "categories": ["all"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                    {
                        "name": "Ready",
                        "type": "string",
                        "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
                    },
                    {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1},
                ],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["size"],
                                "properties": {
                                    "size": {"type": "integer", "minimum": 1},
                                    "mode": {"type": "string", "enum": ["fast", "safe"], "default": "safe"},
                                    "hold": {"type": "string", "pattern": "^[0-9]+(ms|s)$"},
                                    "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                    "parts": {
                                        "type": "array",
                                        "maxItems": 3,
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {
                                            "type": "object",
                                            "required": ["name"],
                                            "properties": {
                                                "name": {"type": "string"},
                                                "weight": {"type": "integer", "default": 1},
                                            },
                                        },
                                    },
                                },
                            },
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


def deployment(name: str = "web", replicas: int = 1) -> Json:
    """A small Deployment with two containers."""
    containers = [
        {
            "name": "app",
            "image": "app:1",
            "ports": [{"containerPort": 80}],
            "env": [{"name": "A", "value": "1"}],
        },
        {"name": "side", "image": "side:1"},
    ]
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def thing(name: str, **spec: object) -> Json:
    """A custom resource of the definition above."""
    head = {"apiVersion": "test.tidegate.dev/v1", "kind": "Thing"}
    return head | {"metadata": {"name": name}, "spec": spec}
