"""Ollama: lists every model in its store, and loads one when it is asked for.

So a listed model is not a warm one, and the list may hold more than the deployment means to serve. It has
no metrics.
"""

from typing import Any, ClassVar

from guard.adapters.runtimes.base import Getter, Runtime, optional_json, word
from guard.core.fingerprint import Fingerprint


class Ollama(Runtime):
    type: ClassVar[str] = "Ollama"
    checks_model_name: ClassVar[bool | None] = True
    health_path: ClassVar[str] = "/api/version"
    lists_only_served: ClassVar[bool] = False

    def version(self, client: Getter) -> str | None:
        return word(optional_json(client, "/api/version"), "version")

    def fingerprint(self, client: Getter, model: str) -> Fingerprint:
        tag = _tag(optional_json(client, "/api/tags").get("models"), model)
        details = tag.get("details")
        checksum = word(tag, "digest")
        return Fingerprint(
            runtime=self.type,
            runtime_version=self.version(client),
            model=model,
            artifact_checksum=f"sha256:{checksum}" if checksum else None,
            quantisation=word(details, "quantization_level") if isinstance(details, dict) else None,
        )


def _tag(tags: Any, model: str) -> dict[str, Any]:
    entries = tags if isinstance(tags, list) else []
    return next((t for t in entries if isinstance(t, dict) and t.get("name") == model), {})
