"""The load suite as gate and users run it: a pytest of its own against two servers."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from guard.adapters.requests_file import read_requests
from guard.api.suites import LoadSuite
from guard.core.check import SuiteResult
from guard.core.samples import Arm
from guard.core.verdict import NotJudged, Verdict
from guard.errors import ConfigurationError
from guard.testing.runtime import Script, ScriptedRuntime
from suites.load.test_load import plan_of

SUITE = Path(__file__).parents[2] / "suites" / "load"
CONFIG = """
suites: [{name: load, arrivals: constant, rate: "12", duration: 1s, minRequests: 10}]
objectives: [{signal: ttft, quantile: p95, limit: 30s}]
"""


@dataclass(frozen=True)
class Run:
    exit_code: int
    result: SuiteResult
    out: Path

    def verdicts(self) -> dict[str, Verdict | NotJudged]:
        return {check.name: check.verdict for check in self.result.checks}


def run(folder: Path, options: Sequence[str], config: str = CONFIG) -> Run:
    (folder / "suites.yaml").write_text(config)
    given = [f"--config={folder / 'suites.yaml'}", f"--tidegate-out={folder / 'out'}", *options]
    plugins = ("-p", "suites.plugin", "-p", "xdist", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", "-q", *plugins, str(SUITE), *given]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # saves seconds of imports
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    file = folder / "out" / "load.json"
    assert file.exists(), done.stdout + done.stderr
    return Run(done.returncode, SuiteResult.from_json(json.loads(file.read_text())), folder / "out")


def test_the_load_is_sent_once_also_on_several_workers(tmp_path: Path) -> None:
    with (
        ScriptedRuntime.serve(Script(), "127.40.3.1") as candidate,
        ScriptedRuntime.serve(Script(), "127.40.3.2") as baseline,
    ):
        arms = (f"--candidate={candidate.url}", f"--baseline={baseline.url}")
        found = run(tmp_path, [*arms, "-n2"])
        asked = len(candidate.sent), len(baseline.sent)

    assert asked == (12, 12)
    assert found.result.error is None
    assert found.result.files == {"requests": "requests.parquet"}
    assert len(read_requests(found.out / "requests.parquet")) == 24
    verdicts = found.verdicts()
    assert set(verdicts) == {
        *("load-client", "load-answers", "objective-ttft-p95"),
        *("ttft-compared", "itl-compared", "errors-compared"),
    }
    assert {verdicts[name] for name in ("load-answers", "objective-ttft-p95")} == {Verdict.PASS}


def test_a_candidate_of_errors_fails_and_says_so(tmp_path: Path) -> None:
    with (
        ScriptedRuntime.serve(Script(error_ratio=1.0), "127.40.3.1") as candidate,
        ScriptedRuntime.serve(Script(), "127.40.3.2") as baseline,
    ):
        found = run(tmp_path, [f"--candidate={candidate.url}", f"--baseline={baseline.url}"])

    assert found.exit_code == 1
    assert found.result.verdict is Verdict.FAIL
    (answers,) = [check for check in found.result.checks if check.name == "load-answers"]
    assert (answers.verdict, answers.value, answers.signal) == (Verdict.FAIL, 1.0, "hard_limit")


def test_without_a_baseline_comparisons_are_not_compared_and_too_few_requests_inconclusive(
    tmp_path: Path,
) -> None:
    config = 'suites: [{name: load, arrivals: constant, rate: "5", duration: 1s, minRequests: 6}]'
    with ScriptedRuntime.serve(Script(), "127.40.3.1") as candidate:
        found = run(tmp_path, [f"--candidate={candidate.url}"], config)

    assert found.result.verdict is Verdict.INCONCLUSIVE
    verdicts = found.verdicts()
    assert verdicts["load-answers"] is Verdict.INCONCLUSIVE
    compared = {verdicts[name] for name in ("ttft-compared", "itl-compared", "errors-compared")}
    assert compared == {NotJudged.NOT_COMPARED}
    assert {s.arm for s in read_requests(found.out / "requests.parquet")} == {Arm.CANARY}


def test_the_suites_settings_become_a_plan() -> None:
    suite = LoadSuite(name="load", arrivals="constant", rate="2.5", duration="2m", max_tokens=9, seed=3)
    plan = plan_of(suite)

    assert (plan.arrivals, plan.rate, plan.duration_seconds) == ("constant", 2.5, 120.0)
    assert (plan.max_tokens, plan.prompt_words, plan.seed) == (9, 20, 3)
    assert plan.timeout_seconds < 600


def test_a_load_that_cannot_end_within_its_timeout_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="timeout 1m leaves no time for 50s of load"):
        plan_of(LoadSuite(name="load", duration="50s", timeout="1m"))
