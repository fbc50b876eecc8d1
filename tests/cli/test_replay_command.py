"""`tidegate replay` as a person and a pipeline meet it."""

import json
import subprocess
import sys

import pytest

from guard.cli import main
from tests.adapters.recorded_rollout import EVENT, write


@pytest.fixture
def replay(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["tidegate", "replay", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capsys.readouterr()

    return run


def test_a_good_canary_is_exit_0_and_the_last_line_says_so(replay, tmp_path):
    code, said, _ = replay(write(tmp_path / "good"))
    assert code == 0
    assert said.splitlines()[-1].startswith("PASS: PROMOTE at 120 s: no harm found in 120 canary requests")
    assert "good: 5 % from 0 s (1+1 replicas), 50 % from 60 s (1+1 replicas), until 120 s" in said


def test_a_failing_canary_is_exit_1_with_its_signal(replay, tmp_path):
    code, said, _ = replay(write(tmp_path / "bad", fails_from=20))
    assert code == 1
    assert said.splitlines()[-1].startswith("FAIL: ROLLBACK at 35 s by hard_limit: ")


def test_an_undecided_rollout_is_exit_2(replay, tmp_path):
    assert replay(write(tmp_path / "r", settings={"minRequests": 1000}))[0] == 2
    assert replay(write(tmp_path / "none", samples=[]))[0] == 2


def test_settings_are_changed_by_name(replay, tmp_path):
    folder = write(tmp_path / "r")
    assert replay(folder, "--set", "minRequests=1000")[0] == 2
    code, _, error = replay(folder, "--set", "minRequest=1000")
    assert code == 3
    assert "minRequests" in error


def test_json_is_one_document_on_stdout_and_the_rest_on_stderr(replay, tmp_path):
    code, said, told = replay(write(tmp_path / "bad", fails_from=20), "--json")
    document = json.loads(said)
    assert code == 1
    assert list(document) == [
        "verdict", "action", "at_seconds", "signal", "effect", "evidence", "timeline"
    ]  # fmt: skip
    assert (document["verdict"], document["action"], document["at_seconds"]) == ("FAIL", "ROLLBACK", 35.0)
    assert [moment["at_seconds"] for moment in document["timeline"]] == [5.0 * i for i in range(8)]
    assert "FAIL: ROLLBACK" in told


def test_the_folder_of_a_change_is_taken_by_its_evidence(replay, tmp_path):
    write(tmp_path / "ops-1/evidence")
    assert replay(tmp_path / "ops-1")[0] == 0


def test_html_is_one_file_that_loads_nothing(replay, tmp_path):
    page = tmp_path / "out" / "replay.html"
    code, *_ = replay(write(tmp_path / "bad", fails_from=20), "--html", page)
    text = page.read_text()
    assert code == 1
    assert "ROLLBACK" in text
    for word in ("<script", "http:", "https:", "<link", "<img", "url("):
        assert word not in text


@pytest.mark.parametrize("html", ["{tmp}", "{tmp}/r/rollout.json/page.html", "/proc/none/page.html"])
def test_a_page_that_cannot_be_written_is_exit_3(replay, tmp_path, html):
    assert replay(write(tmp_path / "r"), "--html", html.format(tmp=tmp_path))[0] == 3


def test_no_page_is_put_into_sealed_evidence(replay, tmp_path):
    evidence = write(tmp_path / "ops-1/evidence")
    (evidence / "manifest.json").write_text("{}")
    code, _, error = replay(tmp_path / "ops-1", "--html", evidence / "replay.html")
    assert (code, (evidence / "replay.html").exists()) == (3, False)
    assert "sealed" in error


def test_what_was_dropped_is_said(replay, tmp_path):
    _, said, _ = replay(write(tmp_path / "r", events=[EVENT, EVENT]))
    assert "dropped: 1 events: repeated" in said


@pytest.mark.parametrize("file", ["rollout.json", "requests.parquet"])
def test_a_damaged_file_is_exit_3_and_named(replay, tmp_path, file):
    folder = write(tmp_path / "r")
    (folder / file).write_bytes(b"\x00\x01 not this \x1b[31m")
    code, said, error = replay(folder)
    assert (code, said) == (3, "")
    assert f"{folder / file}: " in error
    assert "\x1b" not in error


@pytest.mark.parametrize("arguments", [[], ["{tmp}"], ["{tmp}/none"], ["{tmp}", "--set"]])
def test_what_cannot_be_judged_is_exit_3(replay, tmp_path, arguments):
    code, said, error = replay(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert (code, said) == (3, "")
    assert error


def test_help_has_an_example_and_the_overview_imports_nothing_heavy():
    script = "import sys, guard.cli; print([m for m in ('numpy', 'pyarrow', 'jinja2') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
    shown = subprocess.run(
        [sys.executable, "-m", "guard.cli", "replay", "--help"], capture_output=True, text=True, check=True
    )
    assert "tidegate replay artifacts/inference/ops-1 --set alpha=0.001" in shown.stdout
