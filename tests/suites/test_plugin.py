"""The plugin: what a test's end means, and that a result is always left."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.testing.runtime import Script, ScriptedRuntime
from tests.suites.suite_runs import DEAD, HOST, SuiteRunner

pytestmark = pytest.mark.component

WITH_HTML = ("-p", "pytest_metadata.plugin", "-p", "pytest_html.plugin")

OWN = """
import os
import pytest
from guard.core.check import Check
from guard.core.verdict import Verdict


def test_good(judge):
    "All is well."
    judge.measured(value=0.2, limit=0.5, unit="seconds", samples=3)


def test_bad(judge):
    judge.measured(value=0.9, limit=0.5, unit="seconds", samples=3)
    assert 0.9 <= 0.5, "0.9 s, limit 0.5 s"


def test_broken():
    {}["nothing"]


def test_skipped():
    pytest.skip("no such thing here")


def test_own_check(judge):
    judge(Check("errors-p", Verdict.INCONCLUSIVE, "too few", samples=1))
"""


@pytest.fixture
def own_suite(tmp_path: Path) -> Iterator[Path]:
    """Someone's own suite: a folder `own` with one file."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "test_own.py").write_text(OWN)
    yield folder
    for name in [name for name in sys.modules if name.endswith("test_own")]:
        del sys.modules[name]  # the next test's file has the same name


def test_outcomes_become_verdicts(run_suite: SuiteRunner, own_suite: Path) -> None:
    run = run_suite(own_suite, DEAD)
    assert run.verdicts == {
        "good": "PASS",
        "bad": "FAIL",
        "broken": "ERROR",
        "skipped": "NOT_APPLICABLE",
        "errors-p": "INCONCLUSIVE",
    }
    bad = run.checks["bad"]
    assert (bad.value, bad.limit, bad.unit, bad.samples) == (0.9, 0.5, "seconds", 3)
    assert bad.reason == "0.9 s, limit 0.5 s"
    assert run.checks["good"].reason == "All is well."
    assert "KeyError" in run.checks["broken"].reason


def test_checks_travel_from_workers_and_a_dead_worker_is_an_error(
    run_suite: SuiteRunner, own_suite: Path
) -> None:
    alone = run_suite(own_suite, DEAD).verdicts
    with (own_suite / "test_own.py").open("a") as file:
        file.write("\n\ndef test_worker_dies():\n    os._exit(9)\n")
    run = run_suite(own_suite, DEAD, None, "-n1", in_process=False)
    assert run.verdicts == alone
    assert run.result is not None
    assert "crashed" in str(run.result.error)


def test_file_that_cannot_be_imported_is_an_error(run_suite: SuiteRunner, own_suite: Path) -> None:
    (own_suite / "test_own.py").write_text("import no_such_module\ndef test_a(): pass\n")
    run = run_suite(own_suite, DEAD)
    assert run.verdict == "ERROR"
    assert run.result is not None
    assert "no_such_module" in str(run.result.error)


def test_of_a_chain_of_exceptions_the_last_is_the_error(run_suite: SuiteRunner, own_suite: Path) -> None:
    (own_suite / "test_own.py").write_text(
        "try:\n    {}['cause']\nexcept KeyError as error:\n"
        "    raise OSError('items.jsonl:1 cannot be read') from error\n"
    )
    run = run_suite(own_suite, DEAD)
    assert run.result is not None
    assert run.result.error == "cannot be collected: OSError: items.jsonl:1 cannot be read"


def test_interrupted_run_still_writes_what_it_has(run_suite: SuiteRunner, own_suite: Path) -> None:
    (own_suite / "test_own.py").write_text("def test_a(): pass\ndef test_b(): raise KeyboardInterrupt\n")
    run = run_suite(own_suite, DEAD)
    assert run.verdicts == {"a": "PASS"}
    assert run.verdict == "ERROR"
    assert run.result is not None
    assert "interrupted" in str(run.result.error)


def test_of_two_checks_with_one_name_the_worst_stands(run_suite: SuiteRunner, own_suite: Path) -> None:
    (own_suite / "test_own.py").write_text(
        "import pytest\nfrom guard.core.check import Check\nfrom guard.core.verdict import Verdict\n"
        "@pytest.mark.parametrize('verdict', ['PASS', 'FAIL', 'INCONCLUSIVE'])\n"
        "def test_a(judge, verdict): judge(Check('same', Verdict(verdict), verdict))\n"
    )
    assert run_suite(own_suite, DEAD).verdicts == {"same": "FAIL"}


def test_fixture_that_breaks_afterwards_is_an_error_beside_what_was_found(
    run_suite: SuiteRunner, own_suite: Path
) -> None:
    (own_suite / "test_own.py").write_text(
        "import pytest\n@pytest.fixture\ndef broken():\n    yield\n    raise OSError('disk')\n"
        "def test_a(broken): assert False, 'bad'\ndef test_b(broken): pass\n"
    )
    assert run_suite(own_suite, DEAD).verdicts == {"a": "FAIL", "b": "ERROR"}


def test_inconclusive_alone_is_no_green_run(run_suite: SuiteRunner, own_suite: Path) -> None:
    (own_suite / "test_own.py").write_text(
        "from guard.core.check import Check\nfrom guard.core.verdict import Verdict\n"
        "def test_a(judge): judge(Check('a', Verdict.INCONCLUSIVE, 'too few'))\n"
    )
    assert run_suite(own_suite, DEAD).code == pytest.ExitCode.TESTS_FAILED


def test_text_from_models_is_shown_and_never_interpreted(run_suite: SuiteRunner) -> None:
    hostile = "<script>alert(1)</script>\x1b[31mred\x07"
    script = Script(model=hostile, answer=lambda _: hostile)
    with ScriptedRuntime.serve(script, HOST) as runtime:
        report = run_suite.folder / "report.html"
        run = run_suite(
            "smoke", runtime.url, None, "--model=x", f"--html={report}", "--self-contained-html", *WITH_HTML
        )
    assert "\x1b" not in run.output
    assert "\\x1b[31mred" in run.output
    assert "<script>alert" not in report.read_text()


def test_summary_shows_value_against_limit(run_suite: SuiteRunner, own_suite: Path) -> None:
    output = run_suite(own_suite, DEAD).output
    row = next(line for line in output.splitlines() if line.startswith("FAIL "))
    assert row.split() == ["FAIL", "bad", "0.9", "s", "0.5", "s", "3", "0.9", "s,", "limit", "0.5", "s"]
    assert "own: FAIL" in output


def test_plugin_without_options_loads_nothing_heavy() -> None:
    code = (
        "import sys, pytest, suites.plugin; "
        "pytest.main(['--version', '-p', 'suites.plugin']); "
        "sys.exit(bool({'httpx', 'pydantic', 'pyarrow', 'suites.session'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
