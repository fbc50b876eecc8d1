"""How a suite's test says what it found: by an assert, or by a `Check` of its own.

Owns the translation of a test's outcome into checks. A failing assert is FAIL; an exception is ERROR,
because then it is the suite that broke, or something that could not be asked.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from guard.core.check import Check
from guard.core.verdict import NotJudged, Verdict, combine
from guard.errors import TidegateError


class Stop(pytest.fail.Exception):  # type: ignore[misc,name-defined]  # mypy knows no class attribute as base
    """Nothing more can be judged here; `check` says why. Tests that stop for one reason share one check."""

    def __init__(self, check: Check) -> None:
        super().__init__(check.reason, pytrace=False)
        self.check = check


@dataclass
class Judge:
    """The fixture `judge`. Names default to the test's: `test_stream_is_whole` -> `stream-is-whole`.

    Attributes:
        records: Rows for the suite's finisher, which runs once where all rows come together.
        files: Raw data written beside the result: name -> file name.
    """

    name: str
    about: str = ""
    checks: list[Check] = field(default_factory=list)
    records: list[Mapping[str, Any]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    _measured: dict[str, Any] = field(default_factory=dict)

    def __call__(self, check: Check) -> None:
        """Record a check as it is. A test that records any gets no other of its own."""
        self.checks.append(check)

    def measured(self, **values: Any) -> None:
        """Say, before asserting, fields of this test's own check: value, limit, unit, samples, detail."""
        self._measured |= values

    def not_applicable(self, reason: str) -> NoReturn:
        """End the test: the runtime has no such behaviour. Never shown as passed."""
        self.checks.append(Check(self.name, NotJudged.NOT_APPLICABLE, reason, **self._measured))
        pytest.skip(reason)

    def record(self, row: Mapping[str, Any]) -> None:
        """A row for the finisher: JSON values only."""
        self.records.append(row)

    def file(self, name: str, path: Path) -> None:
        """Name a file of raw data that the test wrote into the output folder."""
        self.files[name] = path.name

    def conclude(self, error: BaseException | None, seconds: float) -> None:
        """Turn the outcome of the test's call, or of its setup, into checks; `seconds` is how long it took.

        What the test asked, it asked in that time: the window of its own check.
        """
        self._measured.setdefault("window_seconds", seconds)
        match error:
            case None if self.checks or self.records:
                pass
            case None:
                self._add(Verdict.PASS, self.about)
            case Stop():
                self.checks.append(error.check)
            case pytest.skip.Exception():
                if not self.checks:
                    self._add(NotJudged.NOT_APPLICABLE, _line(error))
            case AssertionError() | pytest.fail.Exception():
                self._add(Verdict.FAIL, _line(error))
            case TidegateError():
                self._add(Verdict.ERROR, str(error))
            case _:
                self._add(Verdict.ERROR, f"the suite broke: {type(error).__name__}: {_line(error)}")

    def hand_over(self) -> str:
        """Everything found so far, as text for the way from a worker to the controller. Each only once."""
        checks = [check.to_json() for check in self.checks]
        sent = json.dumps({"checks": checks, "records": self.records, "files": self.files}, allow_nan=False)
        self.checks, self.records, self.files = [], [], {}
        return sent

    def _add(self, verdict: Verdict | NotJudged, reason: str) -> None:
        self.checks.append(replace(Check(self.name, verdict, reason), **self._measured))


@dataclass
class Found:
    """Everything that one suite's tests sent, as the controller gathers it."""

    checks: dict[str, Check] = field(default_factory=dict)
    records: list[Mapping[str, Any]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    started_at: float = float("inf")
    finished_at: float = 0.0

    def take(self, text: str) -> None:
        """What one test's `Judge.hand_over` sent. Of several checks with one name the worst stands."""
        sent = json.loads(text)
        for document in sent["checks"]:
            check = Check.from_json(document)
            known = self.checks.setdefault(check.name, check)
            if known.verdict != check.verdict and combine([known.verdict, check.verdict]) == check.verdict:
                self.checks[check.name] = check
        self.records.extend(sent["records"])
        self.files |= sent["files"]


def check_name(test_name: str) -> str:
    """`test_stream_is_whole[x]` -> `stream-is-whole[x]`."""
    return test_name.removeprefix("test_").replace("_", "-")


def _line(error: BaseException) -> str:
    """The message's first line: below it stand pytest's own explanations."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
