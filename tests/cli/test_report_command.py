"""`tidegate report`: a Change rendered again, from a copy of its evidence and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from guard.cli import main
from reports.bundle import OUTPUTS
from tests.daemon.recorded import promoted, rolled_back


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """What a guard left: the Change ops-1, rolled back."""
    folder = tmp_path_factory.mktemp("artifacts")
    rolled_back(folder)
    return folder


@pytest.fixture
def copy(artifacts, tmp_path):
    return Path(shutil.copytree(artifacts / "inference/ops-1", tmp_path / "years/later"))


@pytest.fixture
def report(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["tidegate", "report", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capsys.readouterr()

    return run


def test_a_copy_of_the_evidence_gives_the_bytes_that_the_guard_wrote(report, copy):
    written = {name: (copy / name).read_bytes() for name in OUTPUTS}
    for name in OUTPUTS:
        (copy / name).unlink()
    code, _, error = report(copy / "evidence", "--out", copy)
    assert code == 0, error
    assert {name: (copy / name).read_bytes() for name in OUTPUTS} == written


def test_elsewhere_only_the_links_to_raw_data_differ_and_all_of_them_lead_there(report, copy, tmp_path):
    code, said, error = report(copy, "--out", "audit/ops 1")
    assert code == 0, error
    assert said.split("\n")[0] == "audit/ops 1/report.html"
    page = (tmp_path / "audit/ops 1/report.html").read_text()
    assert page.replace('href="../../years/later/evidence/', 'href="evidence/') == (
        (copy / "report.html").read_text()
    )
    links = re.findall(r'href="([^"]+)"', page)
    assert len(links) > 20
    assert all((tmp_path / "audit/ops 1" / link).is_file() for link in links)
    assert (tmp_path / "audit/ops 1/junit.xml").read_bytes() == (copy / "junit.xml").read_bytes()


def test_no_cluster_no_settings_and_no_heavy_library_are_needed(copy):
    """As its entry point starts it, in an empty environment."""
    script = (
        "import sys; from guard.cli import main\n"
        "try: main()\n"
        "finally:\n"
        "    heavy = {'kubernetes', 'httpx', 'pandas', 'locust', 'pytest'} & set(sys.modules)\n"
        "    print(*sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "report", str(copy), "--json"],
        env={"PATH": os.environ["PATH"], "HOME": "/nowhere"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert '"action": "RolledBack"' in done.stdout


def test_each_file_has_the_format_of_its_ending(report, copy, tmp_path):
    code, said, error = report(copy, "-o", "a.html", "-o", "b.md", "-o", "c.json", "-o", "d/e.xml")
    assert code == 0, error
    assert said.split() == ["a.html", "b.md", "c.json", "d/e.xml"]
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "b.md").read_bytes() == (copy / "summary.md").read_bytes()
    assert '"kind": "change"' in (tmp_path / "c.json").read_text()
    assert ElementTree.parse(tmp_path / "d/e.xml").getroot().tag == "testsuites"


def test_an_unknown_ending_is_refused_with_those_that_are_known(report, copy):
    code, _, error = report(copy, "-o", "report.pdf")
    assert code == 3
    assert ".html, .md, .json, .xml" in error


def test_a_change_is_found_by_its_name(report, artifacts, tmp_path):
    code, said, error = report("ops-1", "-n", "inference", "--artifacts", artifacts)
    assert code == 0, error
    assert said.split() == [f"tidegate-report/{name}" for name in OUTPUTS]
    assert (tmp_path / "tidegate-report/report.html").is_file()


def test_the_newest_change_of_a_name_is_shown_and_the_older_one_named(report, tmp_path):
    rolled_back(tmp_path, uid="first")
    promoted(tmp_path, uid="second")
    code, said, error = report("ops-1", "-n", "inference", "--artifacts", tmp_path, "--json")
    assert code == 0
    assert '"action": "Promoted"' in said
    assert "older: " in error


@pytest.mark.parametrize("name", ["ops-2", "../inference/ops-1", "../../etc"])
def test_a_change_without_evidence_is_exit_3_with_the_place_that_was_looked_at(report, artifacts, name):
    code, said, error = report(name, "-n", "inference", "--artifacts", artifacts)
    assert (code, said) == (3, "")
    assert "no evidence of such a Change" in error


@pytest.mark.parametrize(
    "name",
    ["status.json", "requests.parquet", "report.json", "manifest.json", "suites/03-step-1-smoke/smoke.log"],
)
def test_nothing_is_rendered_of_a_damaged_folder_and_the_file_is_named(report, copy, tmp_path, name):
    file = copy / "evidence" / name
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    code, said, error = report(copy, "--out", "audit")
    assert (code, said) == (3, "")
    assert f"evidence/{name}: " in error
    assert not (tmp_path / "audit").exists()


def test_a_manifest_other_than_the_one_that_the_cluster_knows_is_not_rendered(report, copy):
    code, said, error = report(copy, "--json", "--expect", "sha256:" + "0" * 64)
    assert (code, said) == (3, "")
    assert "evidence/manifest.json: changed" in error


def test_a_lost_report_is_made_again(report, copy):
    (copy / "report.html").unlink()
    assert report(copy, "-o", copy / "report.html")[0] == 0


def test_nothing_is_written_into_the_evidence(report, copy):
    code, _, error = report(copy, "--out", copy / "evidence/suites")
    assert code == 3
    assert "inside the evidence" in error
    assert not (copy / "evidence/suites/report.html").exists()


def test_a_pipe_or_a_device_is_refused_before_anything_is_written(report, copy, tmp_path):
    os.mkfifo(tmp_path / "pipe.html")
    code, _, error = report(copy, "-o", tmp_path / "report.md", "-o", tmp_path / "pipe.html")
    assert code == 3
    assert "pipe.html: is there and is no regular file" in error
    assert not (tmp_path / "report.md").exists()


def test_a_foreign_folder_is_refused_by_name(report, tmp_path):
    code, _, error = report(tmp_path)
    assert code == 3
    assert str(tmp_path) in error
