"""What the demo's rollouts run on: llama.cpp, or real vLLM on the CPU; one table, one line an engine.

Owns which environment and which manifests an engine has, and which of its arguments make the three canaries.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from guard.errors import ConfigurationError

REPOSITORY = Path(__file__).resolve().parents[2]
MANIFESTS = REPOSITORY / "stack/manifests"
TEMPLATE = MANIFESTS / "faults/broken-template.jinja"
MODEL = "smollm2-135m-instruct"
MODELS = REPOSITORY / ".tidegate/models"


@dataclass(frozen=True)
class Engine:
    """One model server.

    Attributes:
        says: What is printed once the stable generated its first token.
        prefix: The environment that stands in for `image`.
        manifests: Folder with chat-stable.yaml and chat-canary.yaml.
        guard: The Guard's manifest.
        harmless, broken_template, cut_context: The argument that each canary differs in.
        start_seconds: Most that a pod may take to be ready.
        rollout_seconds: Most that one rollout may take.
        config_maps: name -> data, in namespace inference.
        needs: What must exist besides the environment.
    """

    says: str
    image: str
    prefix: Path
    manifests: Path
    guard: Path
    harmless: str
    broken_template: str
    cut_context: str
    start_seconds: float
    rollout_seconds: float
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    needs: tuple[Path, ...] = ()

    def check(self) -> None:
        """Raises ConfigurationError when its environment or its model is not there."""
        for path in (self.prefix / "bin/python", *self.needs):
            if not path.exists():
                raise ConfigurationError(f"{path.relative_to(REPOSITORY)} is missing; run: make setup-vllm")


ENGINES = {
    "llamacpp": Engine(
        says="llama.cpp with SmolLM2-135M",
        image="tidegate/runtime:dev",
        prefix=Path(sys.prefix),
        manifests=MANIFESTS / "runtime",
        guard=MANIFESTS / "demo/guard.yaml",
        harmless="--batch-size=256",
        broken_template=f"--chat-template={TEMPLATE.read_text(encoding='utf-8').strip()}",
        cut_context="--ctx-size=256",
        start_seconds=90.0,
        rollout_seconds=600.0,
    ),
    "vllm": Engine(
        says="vLLM with SmolLM2-135M",
        image="tidegate/vllm:dev",
        prefix=REPOSITORY / ".venv-vllm",
        manifests=MANIFESTS / "engines/vllm",
        guard=MANIFESTS / "engines/vllm/guard.yaml",
        harmless="--max-num-seqs=6",
        broken_template=f"--chat-template={TEMPLATE}",
        cut_context="--max-model-len=256",
        start_seconds=420.0,
        rollout_seconds=1200.0,
        config_maps={"chat-models": {"folder": str(MODELS)}},
        needs=(MODELS / MODEL / "config.json",),
    ),
}
