"""What every model server can be asked for, whatever its vendor.

A new runtime is one file that subclasses `Runtime` and one line in the table of `runtimes/__init__.py`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import httpx

from guard.core.fingerprint import Fingerprint
from guard.errors import UnreachableError


class Getter(Protocol):
    """The part of `ChatClient` that a runtime needs: set-up calls, which raise guard.errors."""

    def get(self, path: str) -> httpx.Response: ...
    def get_json(self, path: str) -> Any: ...


@dataclass(frozen=True)
class ServedModel:
    """One entry of /v1/models."""

    id: str
    owned_by: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Runtime:
    """One vendor's model server. The class itself is any OpenAI-compatible server.

    Attributes:
        type: The word in a Guard's `target.runtime.type` and in fingerprints.
        health_path: Answers 200 when the server is up, with or without a usable engine.
        checks_model_name: An unknown model is refused; False: the server answers to any name; None: not
            known of this server.
        lists_only_served: The model list holds what is served, not everything that could be loaded.
        running_metric, waiting_metric: Gauges on /metrics; None where there is none.
    """

    type: ClassVar[str] = "OpenAI"
    health_path: ClassVar[str] = "/v1/models"
    checks_model_name: ClassVar[bool | None] = None
    lists_only_served: ClassVar[bool] = True
    running_metric: ClassVar[str | None] = None
    waiting_metric: ClassVar[str | None] = None

    def version(self, client: Getter) -> str | None:
        """The server's own version; None where it tells none."""
        return None

    def fingerprint(self, client: Getter, model: str) -> Fingerprint:
        """Everything of the fingerprint that the server itself tells."""
        return Fingerprint(runtime=self.type, runtime_version=self.version(client), model=model)


def served_models(client: Getter) -> list[ServedModel]:
    """The list of /v1/models, in its order.

    Raises:
        UnreachableError: No answer, or one that is no model list.
        UnauthorizedError, NotFoundError: As `endpoint.get_json`.
    """
    document = client.get_json("/v1/models")
    entries = document.get("data") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and "id" in entry for entry in entries
    ):
        raise UnreachableError("/v1/models answers, but not with a list of models: is this a model server?")
    return [ServedModel(str(entry["id"]), word(entry, "owned_by"), entry) for entry in entries]


def optional_json(client: Getter, path: str) -> Mapping[str, Any]:
    """The JSON object at a path, or an empty one where the server has none there (not 200, not JSON)."""
    response = client.get(path)
    try:
        document = response.json() if response.status_code == 200 else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def digest(text: str | None) -> str | None:
    """`sha256:...` of a text; None stays None."""
    return None if text is None else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def word(document: Mapping[str, Any], key: str) -> str | None:
    """The non-empty string at a key, else None."""
    value = document.get(key)
    return value if isinstance(value, str) and value else None
