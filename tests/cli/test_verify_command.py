"""`tidegate verify` as an auditor's script meets it."""

import hashlib
import json
import sys

import pytest

from guard.adapters import evidence_file
from guard.cli import main
from tests.adapters.sealed import seal


@pytest.fixture
def verify(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["tidegate", "verify", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capsys.readouterr()

    return run


def test_a_whole_folder_is_exit_0_and_says_its_digest(verify, tmp_path):
    folder = seal(tmp_path / "out")
    digest = hashlib.sha256((folder / "evidence/manifest.json").read_bytes()).hexdigest()
    code, said, _ = verify(folder, "--expect", f"sha256:{digest}")
    assert code == 0
    assert said.startswith("whole: 5 files")
    assert digest in said


def test_a_changed_file_is_exit_1_and_named(verify, tmp_path):
    folder = seal(tmp_path / "out")
    (folder / "evidence/smoke/smoke.log").write_text("1 passed\n")
    code, said, _ = verify(folder)
    assert code == 1
    assert said.startswith("evidence/smoke/smoke.log: changed: ")


def test_json_is_one_document_with_every_finding(verify, tmp_path):
    folder = seal(tmp_path / "out")
    (folder / "evidence/plan.json").unlink()
    code, said, _ = verify(folder, "--json")
    document = json.loads(said)
    assert (code, document["whole"], document["files"]) == (1, False, 5)
    assert [(f["path"], f["problem"]) for f in document["findings"]] == [("evidence/plan.json", "missing")]


def test_another_digest_than_the_one_kept_elsewhere_is_exit_1(verify, tmp_path):
    code, said, _ = verify(seal(tmp_path / "out"), "--expect", "sha256:" + "0" * 64)
    assert (code, said.split(":")[0]) == (1, "evidence/manifest.json")


@pytest.mark.parametrize("arguments", [["{tmp}"], ["{tmp}/none"], ["{tmp}", "--expect", "0f"], []])
def test_what_cannot_be_judged_is_exit_3(verify, tmp_path, arguments):
    code, said, error = verify(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert (code, said) == (3, "")
    assert error


def test_a_file_that_cannot_be_read_is_exit_3(verify, tmp_path, monkeypatch):
    read = evidence_file._measured

    def refuse_plans(path):
        if path.name == "plan.json":
            raise PermissionError(13, "Permission denied")  # chmod does not keep root from reading
        return read(path)

    monkeypatch.setattr(evidence_file, "_measured", refuse_plans)
    code, said, _ = verify(seal(tmp_path / "out"))
    assert (code, said.split(":")[1]) == (3, " unreadable")
