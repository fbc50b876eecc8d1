"""Runs one suite: pytest in a process of its own, a `SuiteResult` out.

Owns the process, its time limit and what is said when it breaks. Nothing parses its text: the result is the
file that the plugin writes, and a process that leaves none is a suite that broke, so ERROR. The user's own
pytest settings and plugins stay out of it: a verdict must not depend on them.
"""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from guard.core.check import SuiteResult
from guard.core.text import one_line
from guard.errors import ConfigurationError

# After SIGINT pytest still writes what it has. Arbitrary: a few requests' worth.
_GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.05
_LAST_LINES = 8
_ENDED_BY_ITSELF = (0, 1)  # pytest: all passed, some failed; all else is no judgement


class SuiteProcess:
    """A suite under way. Ask `poll` now and then: it is also what ends a suite that takes too long."""

    def __init__(
        self,
        suite: str,
        process: subprocess.Popen[bytes],
        out_dir: Path,
        timeout: float,
        urls: Sequence[str | None],
    ) -> None:
        self.suite = suite
        self.out_dir = out_dir
        self._process = process
        self._urls = urls
        self._timeout = timeout
        self._started_at = time.time()
        self._deadline = time.monotonic() + timeout
        self._result: SuiteResult | None = None

    @property
    def log(self) -> Path:
        """Everything that pytest printed."""
        return _log_of(self.out_dir, self.suite)

    def poll(self) -> SuiteResult | None:
        """The result once the process has ended, or was ended for its time limit; else None."""
        if self._result is None:
            broken = None
            if self._process.poll() is None:
                if time.monotonic() < self._deadline:
                    return None
                self._end()
                broken = f"not ended within {self._timeout:g} s"
            self._result = self._read(broken)
        return self._result

    def wait(self) -> SuiteResult:
        """Until there is a result; at most the time limit and a grace of some seconds."""
        while (result := self.poll()) is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_POLL_SECONDS)
        return result

    def kill(self) -> None:
        """End it and everything that it started. Harmless when it has ended."""
        if self._result is None:
            ended = self._process.poll() is not None
            self._end()
            self._result = self._read(None if ended else "ended before its time, on request")

    def _end(self) -> None:
        """SIGINT, so that partial results are written; then SIGKILL for whatever is left of the group."""
        self._signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _read(self, broken: str | None) -> SuiteResult:
        code = self._process.returncode
        if broken is None and code not in _ENDED_BY_ITSELF:
            broken = f"killed by signal {-code}" if code < 0 else f"pytest ended with code {code}"
        try:
            document = json.loads((self.out_dir / f"{self.suite}.json").read_text(encoding="utf-8"))
            result = SuiteResult.from_json(document)
        except (OSError, ValueError, KeyError, TypeError):
            return self._without_result(broken or "pytest ended without a result")
        if broken is None:
            return result
        return replace(result, error="; ".join(filter(None, (broken, result.error))))

    def _without_result(self, broken: str) -> SuiteResult:
        candidate, baseline = self._urls
        error = f"{broken}: {self._last_lines()}"
        return SuiteResult(
            self.suite, (), self._started_at, time.time(), candidate or "", baseline, error=error
        )

    def _last_lines(self) -> str:
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            lines = []
        said = [line.strip() for line in lines if line.strip()]
        return one_line(" | ".join(said[-_LAST_LINES:]) or "it printed nothing", 2000)


def start_suite(
    suite: str,
    *,
    candidate: str,
    baseline: str | None = None,
    model: str | None = None,
    config_file: Path | None = None,
    out_dir: Path,
    api_key_env: str | None = None,
    ca_file: str | Path | None = None,
    timeout: float,
    policy_gateway: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> SuiteProcess:
    """Start one suite. Its result, raw data and `<suite>.log` go to `out_dir`.

    Args:
        suite: `smoke`, `eval`, `load`, `policy`.
        timeout: Seconds that the whole suite may take.
        policy_gateway: What the policy suite judges; the others take no notice of it.
        environment: Added to this process's own; a place for a key that has no variable yet.
    Raises:
        ConfigurationError: There is no such suite, or `out_dir` cannot be written.
    """
    tests = _tests_of(suite)
    options = {
        "--candidate": candidate,
        "--baseline": baseline,
        "--model": model,
        "--config": config_file and Path(config_file).absolute(),
        "--api-key-env": api_key_env,
        "--ca-file": ca_file and Path(ca_file).absolute(),
        "--tidegate-out": out_dir.absolute(),
        "--policy-gateway": policy_gateway,
    }
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        (out_dir / f"{suite}.json").unlink(missing_ok=True)
        process = _start(
            [*_PYTEST, f"--rootdir={tests}", str(tests), *given], out_dir, suite, environment or {}
        )
    except OSError as error:
        raise ConfigurationError(f"{out_dir}: {error.strerror or error}") from error
    return SuiteProcess(suite, process, out_dir, timeout, (candidate, baseline))


SETTINGS = Path(__file__).with_name("suite_settings.ini")  # pytest 9.2 takes no file without a known ending

# -P: the working folder is no place to import from. No settings of a user, no cache, no plugin but ours.
_PYTEST = (
    *(sys.executable, "-P", "-m", "pytest", "--quiet", "--color=no", f"--config-file={SETTINGS}"),
    *("-p", "no:cacheprovider", "-p", "suites.plugin"),
)


def _start(
    command: Sequence[str], out_dir: Path, suite: str, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ours = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    with _log_of(out_dir, suite).open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=out_dir,
            env={**inherited, **ours, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _log_of(out_dir: Path, suite: str) -> Path:
    return out_dir / f"{suite}.log"


def _tests_of(suite: str) -> Path:
    # Found, not imported: what judges is loaded by the suite's process only.
    spec = importlib.util.find_spec("suites")
    folders = list(spec.submodule_search_locations or []) if spec else []
    suites = {
        path.parent.name: path.parent for folder in folders for path in Path(folder).glob("*/test_*.py")
    }
    if suite not in suites:
        raise ConfigurationError(f"no suite {suite!r}: there are {', '.join(sorted(suites))}")
    return suites[suite]
