"""The load suite as gate and users run it: a pytest of its own against two servers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from guard.adapters.endpoint import Endpoint, Timeouts
from guard.adapters.requests_file import read_requests
from guard.api.suites import LoadSuite, SuitesConfig
from guard.core.check import Check, SuiteResult
from guard.core.samples import Arm
from guard.core.verdict import NotJudged, Verdict
from guard.errors import ConfigurationError
from guard.testing.runtime import Script, ScriptedRuntime
from suites.arms import open_baseline, open_candidate
from suites.judge import Judge
from suites.load.test_load import plan_of
from suites.load.test_load import test_load as load_test
from suites.options import RunOptions

pytestmark = pytest.mark.component

SUITE = Path(__file__).parents[2] / "suites" / "load"
SHORT: dict[str, Any] = dict(name="load", arrivals="constant", rate="12", duration="1s", min_requests=10)
CONFIG = """
suites: [{name: load, arrivals: constant, rate: "12", duration: 1s, minRequests: 10}]
objectives: [{signal: ttft, quantile: p95, limit: 30s}]
"""


def judged(
    folder: Path, settings: LoadSuite, candidate: str, baseline: str | None = None
) -> dict[str, Check]:
    """The suite's one test, called in this process: its checks by name."""
    ours, theirs = (None if url is None else Endpoint.parse(url) for url in (candidate, baseline))
    assert ours is not None
    options = RunOptions(ours, theirs, None, SuitesConfig(suites=(settings,)), folder)
    judge = Judge("load")
    target = open_candidate(ours, theirs, None, Timeouts())
    other = None if theirs is None else open_baseline(theirs, target.model, Timeouts())
    load_test(target, other, settings, options, folder, judge)
    assert judge.files == {"requests": "requests.parquet"}
    for arm in filter(None, (target, other)):
        arm.client.close()
    return {check.name: check for check in judge.checks}


def test_the_load_is_sent_once_also_on_several_workers(tmp_path: Path) -> None:
    config, out = tmp_path / "suites.yaml", tmp_path / "out"
    config.write_text(CONFIG)
    plugins = ("-p", "suites.plugin", "-p", "xdist", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", "-q", "-n2", *plugins, str(SUITE), f"--config={config}"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # saves seconds of imports
    with (
        ScriptedRuntime.serve(Script(), "127.40.3.1") as candidate,
        ScriptedRuntime.serve(Script(), "127.40.3.2") as baseline,
    ):
        arms = (f"--candidate={candidate.url}", f"--baseline={baseline.url}", f"--tidegate-out={out}")
        subprocess.run([*command, *arms], capture_output=True, timeout=120, env=environment)
        asked = len(candidate.sent), len(baseline.sent)

    assert asked == (12, 12)
    result = SuiteResult.from_json(json.loads((out / "load.json").read_text()))
    assert (result.error, result.files) == (None, {"requests": "requests.parquet"})
    assert len(read_requests(out / "requests.parquet")) == 24
    assert {check.name for check in result.checks} == {
        *("load-client", "load-answers", "objective-ttft-p95"),
        *("ttft-compared", "itl-compared", "errors-compared"),
    }


def test_a_candidate_of_errors_fails_and_says_so(tmp_path: Path) -> None:
    with (
        ScriptedRuntime.serve(Script(error_ratio=1.0), "127.40.3.1") as candidate,
        ScriptedRuntime.serve(Script(), "127.40.3.2") as baseline,
    ):
        checks = judged(tmp_path, LoadSuite(**SHORT), candidate.url, baseline.url)

    answers = checks["load-answers"]
    assert (answers.verdict, answers.value, answers.signal) == (Verdict.FAIL, 1.0, "hard_limit")
    assert answers.detail["baseline"]["ok"] == 12


def test_without_a_baseline_comparisons_are_not_compared_and_too_few_requests_inconclusive(
    tmp_path: Path,
) -> None:
    with ScriptedRuntime.serve(Script(), "127.40.3.1") as candidate:
        checks = judged(tmp_path, LoadSuite(**SHORT | {"min_requests": 13}), candidate.url)

    assert checks["load-answers"].verdict is Verdict.INCONCLUSIVE
    compared = {checks[name].verdict for name in ("ttft-compared", "itl-compared", "errors-compared")}
    assert compared == {NotJudged.NOT_COMPARED}
    assert {s.arm for s in read_requests(tmp_path / "requests.parquet")} == {Arm.CANARY}


def test_the_suites_settings_become_a_plan() -> None:
    suite = LoadSuite(name="load", arrivals="constant", rate="2.5", duration="2m", max_tokens=9, seed=3)
    plan = plan_of(suite)

    assert (plan.arrivals, plan.rate, plan.duration_seconds) == ("constant", 2.5, 120.0)
    assert (plan.max_tokens, plan.prompt_words, plan.seed) == (9, 20, 3)
    assert plan.timeout_seconds < 600


def test_a_load_that_cannot_end_within_its_timeout_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="timeout 1m leaves no time for 50s of load"):
        plan_of(LoadSuite(name="load", duration="50s", timeout="1m"))
