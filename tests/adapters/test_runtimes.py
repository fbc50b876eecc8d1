"""Telling runtimes apart, and what each tells of itself."""

from typing import Any

import httpx
import pytest

from guard.adapters.chat import ChatClient
from guard.adapters.endpoint import Endpoint
from guard.adapters.runtimes import BY_TYPE, detect, served_models
from guard.core.fingerprint import Fingerprint
from guard.errors import UnreachableError
from guard.testing.runtime import Script, ScriptedRuntime

HOST = "127.30.3.1"

LLAMACPP = {
    "/v1/models": {"data": [{"id": "m", "owned_by": "llamacpp", "meta": {"ftype": "Q4_1"}}]},
    "/props": {
        "default_generation_settings": {"n_ctx": 512},
        "total_slots": 2,
        "chat_template": "{{ messages }}",
        "build_info": "b6000-abc",
    },
}
OLLAMA = {
    "/v1/models": {"data": [{"id": "m:1b", "owned_by": "library"}]},
    "/api/version": {"version": "0.9.1"},
    "/api/tags": {"models": [{"name": "m:1b", "digest": "ab12", "details": {"quantization_level": "Q8_0"}}]},
}


class Pages:
    """A server of literals."""

    def __init__(self, pages: dict[str, Any]) -> None:
        self._pages = pages

    def get(self, path: str) -> httpx.Response:
        if path not in self._pages:
            return httpx.Response(404)
        return httpx.Response(200, json=self._pages[path])

    def get_json(self, path: str) -> Any:
        return self._pages[path]


@pytest.mark.parametrize(
    ("owners", "kind"),
    [
        (["vllm", "vllm"], "vLLM"),
        (["llamacpp"], "llama.cpp"),
        (["library"], "Ollama"),
        (["sglang"], "OpenAI"),
        ([None], "OpenAI"),
        (["vllm", "llamacpp"], "OpenAI"),
        ([], "OpenAI"),
    ],
)
def test_runtime_is_told_by_the_owner_of_its_models(owners: list[str | None], kind: str) -> None:
    pages = Pages({"/v1/models": {"data": [{"id": "m", "owned_by": owner} for owner in owners]}})
    assert detect(served_models(pages)).type == kind


@pytest.mark.parametrize("document", [[], {"data": None}, {"data": [{}]}, {"data": ["m"]}, "models"])
def test_what_is_no_model_list_is_refused(document: object) -> None:
    with pytest.raises(UnreachableError, match="is this a model server"):
        served_models(Pages({"/v1/models": document}))


def test_vllm_tells_version_and_context() -> None:
    with (
        ScriptedRuntime.serve(Script(model="m", max_model_len=512), HOST) as runtime,
        ChatClient(Endpoint.parse(runtime.url)) as client,
    ):
        found = detect(served_models(client)).fingerprint(client, "m")
    assert found == Fingerprint(
        runtime="vLLM",
        runtime_version="0.32.0",
        model="m",
        adapter="none",
        engine_arguments="max_model_len=512",
    )


def test_llamacpp_tells_template_context_and_quantisation() -> None:
    found = BY_TYPE["llama.cpp"].fingerprint(Pages(LLAMACPP), "m")
    assert found.chat_template is not None
    assert found.chat_template.startswith("sha256:")
    assert (found.runtime_version, found.quantisation) == ("b6000-abc", "Q4_1")
    assert found.engine_arguments == "n_ctx=512 slots=2"


def test_ollama_tells_checksum_and_quantisation() -> None:
    found = BY_TYPE["Ollama"].fingerprint(Pages(OLLAMA), "m:1b")
    assert (found.artifact_checksum, found.quantisation) == ("sha256:ab12", "Q8_0")
    assert found.runtime_version == "0.9.1"


@pytest.mark.parametrize("kind", list(BY_TYPE))
def test_server_that_tells_nothing_leaves_fields_unknown(kind: str) -> None:
    pages = Pages({"/v1/models": {"data": [{"id": "m"}]}})
    found = BY_TYPE[kind].fingerprint(pages, "m")
    assert found.runtime_version is None
    assert "artifact_checksum" in found.unknown()


def test_whether_a_name_is_checked_is_known_of_each_vendor() -> None:
    known = {kind: runtime.checks_model_name for kind, runtime in BY_TYPE.items()}
    assert known == {"vLLM": True, "llama.cpp": False, "Ollama": True, "OpenAI": None}
