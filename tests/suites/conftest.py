"""The fixture of all tests that run a suite."""

from pathlib import Path

import pytest

from tests.suites.suite_runs import SuiteRunner


@pytest.fixture
def run_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> SuiteRunner:
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.chdir(tmp_path)
    return SuiteRunner(tmp_path, lambda: "".join(capfd.readouterr()))
