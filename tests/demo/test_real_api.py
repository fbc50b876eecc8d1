"""`tidegate demo --api real`, as far as it needs no machinery."""

from pathlib import Path

import pytest

from guard.demo.machine import need_parts
from guard.errors import ConfigurationError
from guard.testing.apiserver import parts


def test_the_demo_on_the_real_api_names_what_must_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "API_SERVER", tmp_path / "apiextensions-apiserver")
    with pytest.raises(ConfigurationError, match=r"apiextensions-apiserver.*make setup-api"):
        need_parts(real_api=True)
    need_parts()
