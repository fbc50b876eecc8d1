"""Smoke and eval against the real llama.cpp with its small model: a sound server, and a broken template."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from guard.adapters.chat import ChatClient
from guard.adapters.endpoint import Endpoint
from guard.adapters.runtimes import detect, served_models
from suites.eval.dataset import SHIPPED, read_items
from tests.suites.suite_runs import SuiteRunner

pytestmark = pytest.mark.real

MODEL = "smollm2-135m-instruct"
BROKEN = Path(__file__).parents[2] / "stack" / "manifests" / "faults" / "broken-template.jinja"
# Those whose answers must have a form: a lenient grader finds its number or city in a broken answer, too.
STRICT = ["capitals", "copy", "field", "json", "log-level", "plural", "route"]
SIXTEEN = {"suites": [{"name": "eval", "items": 16, "seed": 7, "families": STRICT}]}


@contextmanager
def llamacpp(host: str, *options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "stack.runtime.llamacpp", "--model", MODEL, "--host", host]
    process = subprocess.Popen(
        [*command, "--port", "8000", "--parallel", "1", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "serving on" in process.stdout.readline()
        yield f"http://{host}:8000"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def sound() -> Iterator[str]:
    with llamacpp("127.30.8.1") as url:
        yield url


def test_sound_server_passes_smoke_with_the_name_check_not_applicable(
    run_suite: SuiteRunner, sound: str
) -> None:
    run = run_suite("smoke", sound, sound)
    assert run.verdict == "PASS", run.output
    assert run.verdicts.pop("unknown-model-is-refused") == "NOT_APPLICABLE"


def test_fingerprint_is_read_from_the_server(sound: str) -> None:
    with ChatClient(Endpoint.parse(sound)) as client:
        found = detect(served_models(client)).fingerprint(client, MODEL)
    assert (found.runtime, found.quantisation, found.model) == ("llama.cpp", "Q4_1", MODEL)
    assert found.engine_arguments == "n_ctx=2048 slots=1"
    assert found.chat_template is not None


def test_small_model_passes_most_items(run_suite: SuiteRunner, sound: str) -> None:
    run = run_suite("eval", sound, config={"suites": [{"name": "eval", "items": 0}]})
    families = run.checks["eval-paired"].detail["families"]
    good = [name for name, arms in families.items() if arms["canary"]["passed"] >= 7]
    assert run.checks["eval-paired"].samples == len(read_items(SHIPPED))
    assert set(STRICT) <= set(good)


def test_broken_template_passes_smoke_and_fails_eval(run_suite: SuiteRunner, sound: str) -> None:
    with llamacpp("127.30.8.2", "--chat-template-file", str(BROKEN)) as broken:
        smoke = run_suite("smoke", broken, sound)
        assert smoke.verdict == "PASS", smoke.output
        run = run_suite("eval", broken, sound, config=SIXTEEN)
    check = run.checks["eval-paired"]
    assert str(check.verdict) == "FAIL"
    assert len(check.detail["lost"]) >= 7
    assert check.detail["won"] == []
