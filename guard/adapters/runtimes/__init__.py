"""Model servers, one file per vendor: what each can be asked, and how to tell them apart."""

from collections.abc import Sequence

from guard.adapters.runtimes.base import Runtime, ServedModel, served_models
from guard.adapters.runtimes.llamacpp import LlamaCpp
from guard.adapters.runtimes.ollama import Ollama
from guard.adapters.runtimes.openai import OpenAI
from guard.adapters.runtimes.vllm import VLLM

__all__ = ["BY_TYPE", "Runtime", "ServedModel", "detect", "served_models"]

BY_TYPE: dict[str, Runtime] = {r.type: r for r in (VLLM(), LlamaCpp(), Ollama(), OpenAI())}

# The `owned_by` of a vendor's model list. One call that every server has: the vendors' own paths may be
# closed by a gateway.
_BY_OWNER = {"vllm": VLLM.type, "llamacpp": LlamaCpp.type, "library": Ollama.type}


def detect(models: Sequence[ServedModel]) -> Runtime:
    """The runtime behind a model list; any OpenAI-compatible server when nothing tells more."""
    owners = {model.owned_by for model in models}
    found = {_BY_OWNER[owner] for owner in owners if owner in _BY_OWNER}
    return BY_TYPE[found.pop() if len(found) == 1 else OpenAI.type]
