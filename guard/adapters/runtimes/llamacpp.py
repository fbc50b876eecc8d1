"""llama.cpp's own server: answers 200 to any model name, shows its template and context in /props.

Its counters do not move when a prompt over the context is refused: such errors show only at a gateway.
"""

from typing import ClassVar

from guard.adapters.runtimes.base import Getter, Runtime, digest, optional_json, served_models, word
from guard.core.fingerprint import Fingerprint


class LlamaCpp(Runtime):
    type: ClassVar[str] = "llama.cpp"
    health_path: ClassVar[str] = "/health"
    checks_model_name: ClassVar[bool | None] = False
    running_metric: ClassVar[str | None] = "llamacpp:requests_processing"
    waiting_metric: ClassVar[str | None] = "llamacpp:requests_deferred"

    def version(self, client: Getter) -> str | None:
        return word(optional_json(client, "/props"), "build_info")

    def fingerprint(self, client: Getter, model: str) -> Fingerprint:
        props = optional_json(client, "/props")
        entry = next((m.facts for m in served_models(client) if m.id == model), {})
        meta = entry.get("meta")
        settings = props.get("default_generation_settings")
        context = settings.get("n_ctx") if isinstance(settings, dict) else None
        return Fingerprint(
            runtime=self.type,
            runtime_version=word(props, "build_info"),
            model=model,
            chat_template=digest(word(props, "chat_template")),
            quantisation=word(meta, "ftype") if isinstance(meta, dict) else None,
            engine_arguments=f"n_ctx={context} slots={props.get('total_slots')}" if context else None,
        )
