"""The suites judge real vLLM: good against itself, canaries with the demo's faults found out."""

from pathlib import Path

import pytest

from guard.adapters.suite_runner import start_suite
from guard.core.check import SuiteResult
from guard.core.verdict import Verdict
from tests.vllm.vllm_stack import MANIFESTS, Stack

pytestmark = pytest.mark.vllm

CONFIG = """
suites:
  - {name: smoke}
  - {name: eval, items: 16, seed: 7, minItems: 12}
  - {name: load, rate: "0.3", duration: 20s, maxTokens: 8, minRequests: 2}
"""


def judge(suite: str, folder: Path, candidate: str, baseline: str | None = None) -> SuiteResult:
    config = folder / "config.yaml"
    config.write_text(CONFIG)
    return start_suite(
        suite, candidate=candidate, baseline=baseline, config_file=config, out_dir=folder, timeout=600
    ).wait()


def words(result: SuiteResult) -> dict[str, str]:
    """Check -> verdict, and what broke."""
    return {check.name: str(check.verdict) for check in result.checks} | (
        {"error": result.error} if result.error else {}
    )


def test_smoke_passes_every_check_and_an_unknown_model_is_refused(vllm: str, tmp_path: Path) -> None:
    result = judge("smoke", tmp_path, vllm)
    assert set(words(result).values()) == {"PASS"}
    (refusal,) = [check for check in result.checks if check.name == "unknown-model-is-refused"]
    assert refusal.value == 404


def test_eval_of_vllm_against_itself_passes_without_a_lost_pair(vllm: str, tmp_path: Path) -> None:
    result = judge("eval", tmp_path, vllm, vllm)
    assert result.verdict is Verdict.PASS, words(result)
    (paired,) = [check for check in result.checks if check.name == "eval-paired"]
    assert paired.samples == 16
    assert paired.value == paired.baseline_value


def test_a_load_is_measured_to_its_last_request(vllm: str, tmp_path: Path) -> None:
    result = judge("load", tmp_path, vllm)
    assert result.verdict is Verdict.PASS, words(result)
    assert (tmp_path / result.files["requests"]).stat().st_size > 0


def test_a_broken_chat_template_fails_the_eval(stack: Stack, vllm: str, tmp_path: Path) -> None:
    template = (MANIFESTS / "faults/broken-template.jinja").read_text(encoding="utf-8").strip()
    with stack.canary(f"--chat-template={template}") as canary:
        result = judge("eval", tmp_path, canary, vllm)
    assert result.verdict is Verdict.FAIL, words(result)
