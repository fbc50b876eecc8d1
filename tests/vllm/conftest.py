"""One real vLLM for the whole session: the stable of the manifests."""

from collections.abc import Iterator

import pytest

from tests.vllm.vllm_stack import Stack, need_parts, serve


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    need_parts()
    with serve(tmp_path_factory.mktemp("vllm")) as stack:
        yield stack


@pytest.fixture(scope="session")
def vllm(stack: Stack) -> str:
    """The URL of the stable."""
    return stack.stable()
