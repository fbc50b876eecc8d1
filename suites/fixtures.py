"""The fixtures of the suites' tests, registered only when there is something to judge."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guard.adapters.endpoint import Timeouts
from guard.api.fields import seconds
from suites.arms import Target, open_baseline, open_candidate, refuse_confounded
from suites.judge import Judge
from suites.options import RunOptions
from suites.session import JUDGE, OPTIONS, settings_of, suite_of


@pytest.fixture(scope="session")
def run_options(pytestconfig: pytest.Config) -> RunOptions:
    """Everything that this run was asked to do."""
    return pytestconfig.stash[OPTIONS]


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Judge:
    """Records checks, rows and files; see suites/judge.py."""
    found: Judge = request.node.stash[JUDGE]
    return found


@pytest.fixture(scope="session")
def timeouts(run_options: RunOptions) -> Timeouts:
    """Of one request; the smoke suite's `timeout`."""
    smoke = settings_of(run_options, "smoke")
    limit = seconds(smoke.timeout)
    return Timeouts(read=limit, total=limit)


@pytest.fixture(scope="session")
def candidate(run_options: RunOptions, timeouts: Timeouts) -> Iterator[Target]:
    """The deployment under judgement. Stops the test, with section 4's verdict, when it cannot be asked."""
    target = open_candidate(run_options.candidate, run_options.baseline, run_options.model, timeouts)
    yield target
    target.client.close()


@pytest.fixture(scope="session")
def model(candidate: Target) -> str:
    """The id that both arms are asked for."""
    return candidate.model


@pytest.fixture(scope="session")
def baseline(run_options: RunOptions, candidate: Target, timeouts: Timeouts) -> Iterator[Target | None]:
    """What the candidate is compared with; None without one, and a stop when it cannot be compared with."""
    if run_options.baseline is None:
        yield None
        return
    target = open_baseline(run_options.baseline, candidate.model, timeouts)
    if run_options.config.expect_change is not None:
        refuse_confounded(target, candidate, run_options.config.expect_change)
    yield target
    target.client.close()


@pytest.fixture(scope="module")
def settings(request: pytest.FixtureRequest, run_options: RunOptions) -> Any:
    """This suite's part of `--config`, or its defaults; None for a suite that has none."""
    return settings_of(run_options, suite_of(request.path))


@pytest.fixture(scope="session")
def out_dir(run_options: RunOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where raw data go: --tidegate-out, or a temporary folder."""
    return run_options.out or tmp_path_factory.mktemp("tidegate")
