"""One run of pytest over the suites: gathers what the tests found, and writes one result a suite.

Owns the way from a test to `DIR/<suite>.json`, also across xdist workers: a test's checks travel in its
report, and everything is put together once, in the controller. Refuses to know what a suite judges; what
must see all of a suite's rows is a finisher, named in `_FINISHERS`.
"""

import importlib
import json
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from guard.api.suites import EvalSuite, LoadSuite, PolicySuite, SmokeSuite
from guard.core.check import SuiteResult
from guard.core.text import one_line
from guard.core.verdict import NotJudged, Verdict
from guard.errors import ConfigurationError
from suites.judge import Found, Judge, check_name
from suites.options import RunOptions, read_options
from suites.plugin import SUITES
from suites.summary import write_summary

OPTIONS = pytest.StashKey[RunOptions]()
JUDGE = pytest.StashKey[Judge]()

# Attributes of pytest's reports: all of them survive the way from a worker.
_SENT = "tidegate_found"
_SUITE = "tidegate_suite"

_SETTINGS: dict[str, type[Any]] = {
    "smoke": SmokeSuite,
    "eval": EvalSuite,
    "load": LoadSuite,
    "policy": PolicySuite,
}

# module:function(found, options) -> None; adds the checks that need every row of the suite.
_FINISHERS = {"eval": "suites.eval.finish:finish"}


def start(config: pytest.Config) -> None:
    """Read the options, or refuse them; register what judges."""
    try:
        options = read_options(config.option)
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[OPTIONS] = options
    if options.out is not None:
        _heed_interrupts()
    config.pluginmanager.register(Session(config, options), "tidegate-session")
    config.pluginmanager.import_plugin("suites.fixtures")


def _heed_interrupts() -> None:
    """Gate and guard end a suite by SIGINT, which a shell's background job inherits as ignored."""
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def suite_of(path: Path) -> str:
    """The suite that a test file belongs to: the name of its folder."""
    return path.parent.name


def settings_of(options: RunOptions, suite: str) -> Any:
    """The suite's part of the configuration, or its defaults; None for a suite that has no settings."""
    for settings in options.config.suites:
        if settings.name == suite:
            return settings
    return _SETTINGS[suite](name=suite) if suite in _SETTINGS else None


class Session:
    """The hooks of one run. In a worker only those of the tests' side do anything."""

    def __init__(self, config: pytest.Config, options: RunOptions) -> None:
        self._config = config
        self._options = options
        self._is_worker = hasattr(config, "workerinput")
        self._found: dict[str, Found] = defaultdict(Found)
        self._began_at = time.time()
        self._broken: list[str] = []
        self.results: list[SuiteResult] = []

    def pytest_report_header(self) -> list[str]:
        baseline = self._options.baseline
        compared = baseline.url if baseline else "none: nothing is compared"
        return [f"tidegate: candidate {self._options.candidate.url}, baseline {compared}"]

    # The tests' side.

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        about = (getattr(getattr(item, "obj", None), "__doc__", None) or "").strip().splitlines()
        item.stash[JUDGE] = Judge(check_name(item.name), about[0] if about else "")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        report.__dict__[_SUITE] = suite_of(item.path)
        error = call.excinfo.value if call.excinfo else None
        if call.when == "call" or error is not None:
            judge = item.stash[JUDGE]
            judge.conclude(error, call.duration)
            _fail_by_check(report, judge)
            report.__dict__[_SENT] = judge.hand_over()
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        report.__dict__[_SUITE] = suite_of(collector.path)
        return report

    # The controller's side.

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self._is_worker:
            return
        found = self._found[self._suite_of(report)]
        found.started_at = min(found.started_at, getattr(report, "start", self._began_at))
        found.finished_at = max(found.finished_at, getattr(report, "stop", self._began_at))
        if sent := getattr(report, _SENT, None):
            found.take(sent)
        elif report.failed:  # a worker died in it
            found.errors.append(f"{report.nodeid}: {_first_error(report)}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self._is_worker:
            self._found[self._suite_of(report)].errors.append(f"cannot be collected: {_first_error(report)}")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        if not isinstance(excinfo.value, pytest.Session.Interrupted):  # raised after collection errors, too
            self._broken.append("interrupted before the end")

    def pytest_internalerror(self, excrepr: object) -> None:
        self._broken.append(f"pytest broke: {str(excrepr).strip().splitlines()[-1]}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._is_worker:
            return
        unbegun = self._asked_suites() if self._broken else []
        self.results = [self._result(suite) for suite in sorted({*unbegun, *self._found})]
        if exitstatus == pytest.ExitCode.OK and any(map(_not_passed, self.results)):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        for result in self.results if self._options.out else []:
            self._write(result)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        write_summary(terminalreporter, self.results)

    def _result(self, suite: str) -> SuiteResult:
        found = self._found[suite]
        if finisher := _finisher(suite):
            try:
                finisher(found, self._options)
            except Exception as error:
                found.errors.append(f"the verdict could not be formed: {type(error).__name__}: {error}")
        errors = [*self._broken, *found.errors]
        baseline = self._options.baseline
        return SuiteResult(
            suite,
            tuple(found.checks.values()),
            min(found.started_at, time.time()),
            found.finished_at or time.time(),
            self._options.candidate.url,
            baseline.url if baseline else None,
            found.files,
            "; ".join(dict.fromkeys(errors)) or None,  # every worker reports what cannot be collected
        )

    def _write(self, result: SuiteResult) -> None:
        """Whole or not at all: whoever waits for the file never reads half of it."""
        assert self._options.out is not None
        file = self._options.out / f"{result.suite}.json"
        temporary = file.with_suffix(f".{os.getpid()}.tmp")
        text = json.dumps(result.to_json(), indent=2, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(file)

    def _suite_of(self, report: pytest.TestReport | pytest.CollectReport) -> str:
        """As its test said; a report about a worker that died names only the test's path."""
        path = self._config.rootpath / report.nodeid.partition("::")[0]
        suite: str = getattr(report, _SUITE, None) or next(iter(self._asked_suites()), suite_of(path))
        return suite

    def _asked_suites(self) -> list[str]:
        """Suites that the command line names, which may not have begun when the run broke off."""
        base = self._config.invocation_params.dir
        paths = [(base / arg.partition("::")[0]).resolve() for arg in self._config.args]
        return [path.name if path.is_dir() else suite_of(path) for path in paths if path != SUITES]


def _first_error(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The first line of what pytest marks as the error, else its first words.

    Of a chain of exceptions the last is the one that was raised; the others are its causes.
    """
    lines = str(report.longrepr).strip().splitlines() or ["no reason given"]
    blocks = [list(block) for marked, block in groupby(lines, _is_marked) if marked]
    return one_line(blocks[-1][0][1:].strip() if blocks else lines[0])


def _is_marked(line: str) -> bool:
    return line == "E" or line.startswith("E ")


def _fail_by_check(report: pytest.TestReport, judge: Judge) -> None:
    """A test that recorded FAIL or ERROR by itself is failed for pytest as well."""
    bad = [check for check in judge.checks if check.verdict in (Verdict.FAIL, Verdict.ERROR)]
    if report.passed and bad:
        report.outcome = "failed"
        report.longrepr = "\n".join(f"{check.verdict} {check.name}: {check.reason}" for check in bad)


def _not_passed(result: SuiteResult) -> bool:
    fine = (Verdict.PASS, *NotJudged)
    return bool(result.error) or not all(check.verdict in fine for check in result.checks)


def _finisher(suite: str) -> Callable[[Found, RunOptions], None] | None:
    if suite not in _FINISHERS:
        return None
    module, _, name = _FINISHERS[suite].partition(":")
    finisher: Callable[[Found, RunOptions], None] = getattr(importlib.import_module(module), name)
    return finisher
