"""vLLM: refuses unknown models, tells its version, and has the richest metrics.

/health says only that the engine's loop lives: an engine can be up and die at its first token. Neither the
chat template nor the engine's arguments can be read over HTTP; they come from the pod template.
"""

from typing import ClassVar

from guard.adapters.runtimes.base import Getter, Runtime, optional_json, served_models, word
from guard.core.fingerprint import Fingerprint


class VLLM(Runtime):
    type: ClassVar[str] = "vLLM"
    checks_model_name: ClassVar[bool | None] = True
    health_path: ClassVar[str] = "/health"
    running_metric: ClassVar[str | None] = "vllm:num_requests_running"
    waiting_metric: ClassVar[str | None] = "vllm:num_requests_waiting"

    def version(self, client: Getter) -> str | None:
        return word(optional_json(client, "/version"), "version")

    def fingerprint(self, client: Getter, model: str) -> Fingerprint:
        entry = next((m.facts for m in served_models(client) if m.id == model), {})
        parent = word(entry, "parent")  # set for a LoRA adapter only
        length = entry.get("max_model_len")
        return Fingerprint(
            runtime=self.type,
            runtime_version=self.version(client),
            model=model,
            adapter=f"{model} on {parent}" if parent else "none",
            engine_arguments=None if length is None else f"max_model_len={length}",
        )
