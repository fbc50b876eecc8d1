"""`tidegate doctor` as a process sees it: lines, JSON, colours and exit codes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from guard.cli.doctor import command
from guard.testing.cluster import FakeCluster

pytestmark = pytest.mark.component


def doctor(kubeconfig: Path, *more: str, color: bool = False) -> Result:
    arguments = ["--kubeconfig", str(kubeconfig), "--artifacts", str(kubeconfig.parent / "artifacts"), *more]
    return CliRunner().invoke(command, arguments, standalone_mode=False, color=color)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of a cluster without anything of ours."""
    with FakeCluster.serve() as cluster:
        yield cluster.write_kubeconfig(tmp_path / "kubeconfig")


def test_an_empty_cluster_is_1_and_each_problem_is_one_line_with_its_remedy(empty: Path) -> None:
    done = doctor(empty)
    assert done.return_value == 1
    problems = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM")]
    assert any("guards.tidegate.dev/v1alpha1 is not served" in line for line in problems)
    assert all(" Remedy: " in line for line in problems)


def test_json_is_one_document_on_stdout_and_the_lines_go_to_stderr(empty: Path) -> None:
    done = doctor(empty, "--json")
    document = json.loads(done.stdout)
    assert document["exitCode"] == done.return_value == 1
    assert {"level", "subject", "message", "remedy"} == set(document["findings"][0])
    assert "PROBLEM" in done.stderr


@pytest.mark.parametrize("more", [(), ("--json",)], ids=["lines", "json"])
def test_an_api_server_that_does_not_answer_is_3(tmp_path: Path, more: tuple[str, ...]) -> None:
    with FakeCluster.serve() as cluster:
        kubeconfig = cluster.write_kubeconfig(tmp_path / "kubeconfig")
    done = doctor(kubeconfig, *more)
    assert done.return_value == 3
    if more:
        (found,) = json.loads(done.stdout)["findings"]
        assert (found["level"], found["subject"]) == ("PROBLEM", "api")


def test_credentials_that_are_not_there_are_3(tmp_path: Path) -> None:
    done = doctor(tmp_path / "none")
    assert done.return_value == 3
    assert "no usable Kubernetes credentials" in done.stdout


def test_colour_is_for_terminals_only(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in doctor(empty).stdout
    assert "\x1b[" in doctor(empty, color=True).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in doctor(empty, color=True).stdout
