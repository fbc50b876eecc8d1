"""An engine that is not set up is refused before anything starts, with the command that sets it up."""

from dataclasses import replace

import pytest

from guard.demo.engine import ENGINES, REPOSITORY
from guard.errors import ConfigurationError


def test_the_default_engine_needs_nothing_but_this_environment() -> None:
    ENGINES["llamacpp"].check()


@pytest.mark.parametrize("lacks", ["prefix", "needs"])
def test_a_missing_environment_or_model_is_named_with_its_remedy(lacks: str) -> None:
    missing = REPOSITORY / ".tidegate/not-there"
    engine = replace(ENGINES["llamacpp"], **{lacks: missing if lacks == "prefix" else (missing,)})
    with pytest.raises(ConfigurationError, match=r"\.tidegate/not-there.* is missing; run: make setup-vllm"):
        engine.check()
