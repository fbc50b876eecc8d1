"""Stable and canary are two plain manifests, to be applied alone as well; their pods must not drift apart."""

from pathlib import Path
from typing import Any

import pytest
import yaml

MANIFESTS = Path(__file__).parents[2] / "stack/manifests"


def _pair(folder: str, side: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pod's spec and the Service's ports."""
    text = (MANIFESTS / folder / f"chat-{side}.yaml").read_text()
    deployment, service = (document for document in yaml.safe_load_all(text) if document)
    assert deployment["spec"]["template"]["metadata"]["labels"]["track"] == side
    return deployment["spec"]["template"]["spec"], service["spec"]["ports"]


@pytest.mark.parametrize("folder", ["runtime", "engines/vllm"])
def test_a_canary_that_nobody_changed_runs_what_the_stable_runs(folder: str) -> None:
    assert _pair(folder, "canary") == _pair(folder, "stable")
