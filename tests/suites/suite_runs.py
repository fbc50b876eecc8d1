"""Runs a suite in this process, against scripted runtimes, and hands back what the plugin wrote."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import suites
from guard.adapters.suite_runner import SETTINGS
from guard.core.check import Check, SuiteResult
from guard.testing.runtime.script import DEFAULT_ANSWER, Messages
from suites.eval.dataset import SHIPPED, Item, read_items

SUITES = Path(suites.__file__).parent
HOST = "127.30.0.1"
DEAD = "http://127.30.255.1:9"  # nothing of ours listens in this range


@dataclass(frozen=True)
class Run:
    """One run: pytest's exit code and output, and the result that it left, if any."""

    code: int
    output: str
    result: SuiteResult | None
    out: Path

    @property
    def checks(self) -> Mapping[str, Check]:
        assert self.result is not None, self.output
        return {check.name: check for check in self.result.checks}

    @property
    def verdicts(self) -> dict[str, str]:
        return {name: str(check.verdict) for name, check in self.checks.items()}

    @property
    def verdict(self) -> str:
        assert self.result is not None, self.output
        return str(self.result.verdict)


class SuiteRunner:
    """`run("smoke", candidate, baseline, *options, config={...})`; a path runs own tests.

    In this process: a new one would cost a second of CPU each. `in_process=False` where a test needs its
    own (workers, interrupts).
    """

    def __init__(self, folder: Path, read_output: Callable[[], str]) -> None:
        self.folder = folder
        self._read_output = read_output

    def __call__(
        self,
        suite: str | Path,
        candidate: str | None,
        baseline: str | None = None,
        *options: str,
        config: Mapping[str, Any] | None = None,
        in_process: bool = True,
    ) -> Run:
        tests, out = SUITES / suite, self.folder / "out"
        arguments = [str(tests), f"--tidegate-out={out}", *options]
        if candidate is not None:
            arguments.append(f"--candidate={candidate}")
        if baseline is not None:
            arguments.append(f"--baseline={baseline}")
        if config is not None:
            (self.folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
            arguments.append(f"--config={self.folder / 'config.yaml'}")
        code, output = self.pytest(*arguments, in_process=in_process)
        return Run(code, output, _result(out, tests.name), out)

    def pytest(self, *arguments: str, in_process: bool = True) -> tuple[int, str]:
        """Exit code and output of pytest with our plugin alone, where it is in this process."""
        whole = [*arguments, "-p", "no:cacheprovider", "-W", "error", "--import-mode=importlib"]
        whole += [f"--rootdir={self.folder}", f"--config-file={SETTINGS}"]
        if in_process:
            self._read_output()
            code = int(pytest.main([*whole, "-p", "suites.plugin"]))
            return code, self._read_output()
        environment = {k: v for k, v in os.environ.items() if k != "PYTEST_DISABLE_PLUGIN_AUTOLOAD"}
        command = [sys.executable, "-m", "pytest", *whole, "-p", "no:randomly"]
        ended = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120
        )
        return ended.returncode, ended.stdout + ended.stderr


def knowing(wrong: Sequence[Item] = ()) -> Callable[[Messages], str]:
    """Answers every shipped item right, but these; anything else with the script's own answer."""
    right = {item.prompt: item for item in read_items(SHIPPED)}

    def answer(messages: Messages) -> str:
        item = right.get(messages[-1]["content"])
        if item is None:
            return DEFAULT_ANSWER
        if item in wrong:
            return "I cannot say."
        return json.dumps(item.answer) if item.grader == "json" else str(item.answer)

    return answer


def _result(out: Path, suite: str) -> SuiteResult | None:
    file = out / f"{suite}.json"
    return SuiteResult.from_json(json.loads(file.read_text())) if file.exists() else None
