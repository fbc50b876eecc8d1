"""What a folder that is not as it was sealed is told from one that is."""

import dataclasses
import hashlib
import json
import os
import shutil

import pytest

from guard.adapters.artifacts import canonical
from guard.adapters.evidence import open_evidence
from guard.adapters.evidence_check import verify
from guard.errors import ConfigurationError
from reports.bundle import OUTPUTS
from tests.adapters.sealed import KINDS, REPORT, seal


@pytest.fixture
def folder(tmp_path):
    return seal(tmp_path / "out")


def findings(folder, expected=None):
    found = verify(open_evidence(folder), expected, OUTPUTS)
    return [(finding.path, str(finding.problem)) for finding in found.findings]


def digest_of(folder):
    return "sha256:" + hashlib.sha256((folder / "evidence/manifest.json").read_bytes()).hexdigest()


def rewrite_manifest(folder, change):
    """As someone who knows the format: the manifest, and what verdict.json says of it."""
    file = folder / "evidence/manifest.json"
    manifest = json.loads(file.read_bytes())
    change(manifest)
    file.write_bytes(canonical(manifest))
    verdict = json.loads((folder / "verdict.json").read_bytes())
    listed = {f"evidence/{row['path']}": row for row in manifest["files"] if isinstance(row.get("path"), str)}
    for row in verdict["files"]:
        if row["path"] == "evidence/manifest.json":
            row |= {"sha256": digest_of(folder)[7:], "bytes": file.stat().st_size}
        elif row["path"] in listed:
            row |= {key: listed[row["path"]][key] for key in ("sha256", "bytes")}
    (folder / "verdict.json").write_text(json.dumps(verdict, indent=2) + "\n")


def entry_of(manifest, path):
    return next(row for row in manifest["files"] if row["path"] == path)


def test_a_folder_as_it_was_sealed_is_whole(folder):
    assert findings(folder, digest_of(folder)) == []


def test_a_copy_elsewhere_is_whole_and_so_is_the_evidence_alone(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "years/later")
    shutil.copytree(folder / "evidence", tmp_path / "alone")
    assert findings(tmp_path / "years/later") == []
    assert findings(tmp_path / "alone", digest_of(folder)) == []


@pytest.mark.parametrize("name", KINDS)
def test_one_byte_changed_in_a_file_of_the_evidence_names_that_file(folder, name):
    file = folder / "evidence" / name
    whole = file.read_bytes()
    for position in range(0, len(whole), max(1, len(whole) // 40)):
        file.write_bytes(flipped(whole, position))
        assert findings(folder) == [(f"evidence/{name}", "changed")]


@pytest.mark.parametrize("name", ["report.html", "summary.md", "junit.xml"])
def test_one_byte_changed_in_what_was_rendered_names_that_file(folder, name):
    file = folder / name
    file.write_bytes(flipped(file.read_bytes(), 100))
    assert findings(folder) == [(name, "changed")]


@pytest.mark.parametrize("name", ["verdict.json", "evidence/manifest.json"])
def test_any_byte_changed_in_what_holds_the_checksums_is_found(folder, name):
    file, expected = folder / name, digest_of(folder)
    whole = file.read_bytes()
    for position in range(0, len(whole), 9):
        file.write_bytes(flipped(whole, position))
        found = verify(open_evidence(folder), expected, OUTPUTS).findings
        assert any(name in str(finding) for finding in found), f"byte {position} of {name}: {found}"


def flipped(content, position):
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def test_files_added_and_lost_are_named(folder):
    (folder / "evidence/load/more.parquet").write_bytes(b"PAR1")
    (folder / "evidence/smoke/smoke.log").unlink()
    (folder / "report.html").unlink()
    assert findings(folder) == [
        ("evidence/load/more.parquet", "added"),
        ("evidence/smoke/smoke.log", "missing"),
        ("report.html", "missing"),
    ]


def test_files_beside_an_empty_manifest_are_named(folder):
    rewrite_manifest(folder, lambda m: m["files"].clear())
    assert ("evidence/smoke/smoke.log", "added") in findings(folder)


def test_a_lost_manifest_is_missing_and_no_foreign_folder(folder):
    (folder / "evidence/manifest.json").unlink()
    assert ("evidence/manifest.json", "missing") in findings(folder)


def test_everything_rewritten_together_is_found_by_a_digest_kept_elsewhere(folder):
    kept = digest_of(folder)
    log = folder / "evidence/smoke/smoke.log"
    log.write_text("1 passed\n")

    def resealed(manifest):
        row = entry_of(manifest, "smoke/smoke.log")
        row["sha256"] = hashlib.sha256(log.read_bytes()).hexdigest()

    rewrite_manifest(folder, resealed)
    assert findings(folder) == []
    assert findings(folder, kept) == [("evidence/manifest.json", "changed")]


def test_a_verdict_other_than_the_sealed_one_is_named_with_its_field(folder):
    file = folder / "verdict.json"
    file.write_bytes(file.read_bytes().replace(b'"verdict": "FAIL"', b'"verdict": "PASS"', 1))
    (found,) = verify(open_evidence(folder), None, OUTPUTS).findings
    assert str(found) == "verdict.json: changed: other than in evidence/report.json: verdict"


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda v: v.update(exit_code=True), "exit_code"),
        (lambda v: v.update(exit_code=1.0), "exit_code"),
        (lambda v: v.update(started_at=1_800_000_000), "started_at"),
        (lambda v: v["sections"][0]["checks"][0].update(limit=float("nan")), "sections"),
        (lambda v: v["sections"][0]["checks"][0].update(note="harmless"), "sections"),
        (lambda v: v.update(model=10**400), "model"),
        (lambda v: v.update(waived="yes"), "waived"),
        (lambda v: v.update(requests=[]), "requests"),
        (lambda v: v.update(traffic=None), "traffic"),
        (lambda v: v["files"].insert(0, dict(v["files"][0])), "rows that Tidegate does not write: 1"),
        (lambda v: v["files"].insert(0, dict(v["files"][0], sha256="0" * 64)), "does not write: 1"),
        (lambda v: v["files"][2].update(signed=True), "does not write: 2"),
        (lambda v: v["files"].insert(0, {"path": "x", "sha256": "0" * 64, "bytes": 1}), "does not write: 0"),
        (lambda v: v["files"].insert(0, "plan.json"), "does not write: 0"),
    ],
    ids=[
        "true for 1", "1.0 for 1", "a whole number of seconds", "not a number",
        "a key more in a check", "an endless number", "a field more", "no requests",
        "empty traffic", "a row twice", "a row twice, one of them false", "a key more in a row",
        "a row of nothing", "a row that is none",
    ],
)  # fmt: skip
def test_an_edit_of_the_verdict_that_changes_no_value_is_found_too(folder, edit, told):
    """Written as Tidegate writes it: nothing but the content tells."""
    file = folder / "verdict.json"
    verdict = json.loads(file.read_bytes())
    assert verdict["exit_code"] == 1
    edit(verdict)
    file.write_text(json.dumps(verdict, indent=2) + "\n")
    found = verify(open_evidence(folder), None, OUTPUTS).findings
    assert [(one.path, str(one.problem)) for one in found] == [("verdict.json", "changed")]
    assert told in found[0].reason


@pytest.mark.parametrize("value", [-0.0, 0, 0.0])
def test_nought_is_written_in_one_way(tmp_path, value):
    check = dataclasses.replace(REPORT.sections[0].checks[0], limit=0.0)
    section = dataclasses.replace(REPORT.sections[0], checks=(check,))
    out = seal(tmp_path / "out", dataclasses.replace(REPORT, sections=(section,)))
    verdict = json.loads((out / "verdict.json").read_bytes())
    verdict["sections"][0]["checks"][0]["limit"] = value
    (out / "verdict.json").write_text(json.dumps(verdict, indent=2) + "\n")
    assert findings(out) == ([] if repr(value) == "0.0" else [("verdict.json", "changed")])


def test_evidence_emptied_together_with_its_manifest_is_found(folder):
    for path in sorted((folder / "evidence").rglob("*"), reverse=True):
        if path.name != "manifest.json":
            path.unlink() if path.is_file() else path.rmdir()
    rewrite_manifest(folder, lambda m: m["files"].clear())
    found = verify(open_evidence(folder), None, OUTPUTS).findings
    assert [(one.path, str(one.problem)) for one in found] == [
        ("evidence/report.json", "missing"),
        ("verdict.json", "changed"),
    ]
    assert "not those of the manifest: evidence/eval/answers.jsonl" in found[1].reason


def test_verdict_of_a_report_that_was_taken_out_of_the_evidence_is_of_nothing(folder):
    """As who wants another verdict, and leaves nothing that says the sealed one."""
    (folder / "evidence/report.json").unlink()
    rewrite_manifest(folder, lambda m: m["files"].remove(entry_of(m, "report.json")))
    verdict = json.loads((folder / "verdict.json").read_bytes())
    verdict["files"] = [row for row in verdict["files"] if row["path"] != "evidence/report.json"]
    verdict |= {"verdict": "PASS", "exit_code": 0}
    (folder / "verdict.json").write_text(json.dumps(verdict, indent=2) + "\n")
    assert findings(folder) == [("evidence/report.json", "missing")]


@pytest.mark.parametrize("name", ["verdict.json", "evidence/manifest.json", "evidence/plan.json"])
def test_a_pipe_in_a_files_place_is_refused_and_waited_for_by_nobody(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert (name, "refused") in findings(folder)


@pytest.mark.parametrize("name", ["verdict.json", "report.html", "evidence/plan.json"])
def test_a_file_under_a_name_in_capitals_is_another(folder, name):
    file = folder / name
    file.rename(file.with_name(file.name.upper()))
    assert (name, "missing") in findings(folder)


def test_a_key_twice_in_the_verdict_is_found(folder):
    file = folder / "verdict.json"
    twice = file.read_bytes().replace(b"{\n", b'{\n  "verdict": "PASS",\n', 1)
    file.write_bytes(twice)
    assert findings(folder) == [("verdict.json", "changed")]


def test_a_number_beyond_what_json_holds_exactly_is_the_same_in_both(tmp_path):
    check = dataclasses.replace(REPORT.sections[0].checks[0], value=1e17 + 16)
    section = dataclasses.replace(REPORT.sections[0], checks=(check,))
    large = dataclasses.replace(REPORT, sections=(section,))
    assert findings(seal(tmp_path / "out", large)) == []


def test_links_and_what_is_no_plain_file_are_refused_and_not_read(folder, tmp_path):
    same = tmp_path / "same.log"
    log = folder / "evidence/smoke/smoke.log"
    shutil.copy(log, same)
    log.unlink()
    log.symlink_to(same)
    (folder / "evidence/eval/outside").symlink_to(tmp_path)
    os.mkfifo(folder / "evidence/eval/pipe")  # reading it would wait for ever
    assert findings(folder) == [
        ("evidence/eval/outside", "refused"),
        ("evidence/eval/pipe", "refused"),
        ("evidence/smoke/smoke.log", "refused"),
    ]


@pytest.mark.parametrize(
    "path",
    [
        "../../secret.txt",
        "/etc/hostname",
        "smoke/../../secret.txt",
        "smoke//smoke.log",
        "./plan.json",
        "smoke\\smoke.log",
        "smoke/\x1b[31mred.log",
        "smoke/new\nline.log",
        "a" * 300,
        "a/" * 600 + "b",
        "manifest.json",
        "",
    ],
    ids=[
        "up", "absolute", "up again", "empty part", "dot", "backslash", "terminal", "line break", "long name",
        "long path", "itself", "empty",
    ],
)  # fmt: skip
def test_a_name_that_is_no_place_in_the_folder_is_refused(folder, tmp_path, path):
    (tmp_path / "secret.txt").write_text("outside")
    digest = hashlib.sha256(b"outside").hexdigest()
    rewrite_manifest(folder, lambda m: m["files"].append({"path": path, "sha256": digest, "bytes": 7}))
    found = [f for f in verify(open_evidence(folder)).findings if f.problem == "refused"]
    assert len(found) == 1
    assert found[0].path.isprintable()
    assert len(str(found[0])) < 600


def test_a_file_listed_twice_is_refused_by_name(folder):
    rewrite_manifest(folder, lambda m: m["files"].append(dict(entry_of(m, "plan.json"), sha256="0" * 64)))
    assert ("evidence/plan.json", "refused") in findings(folder)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"path": 3},
        {"path": "x", "sha256": "zz", "bytes": 1},
        {"path": "x", "sha256": "0" * 64, "bytes": -1},
    ],
    ids=["empty", "no text", "no checksum", "negative"],
)
def test_an_entry_that_is_none_damages_the_manifest(folder, row):
    rewrite_manifest(folder, lambda m: m["files"].append(row))
    assert ("evidence/manifest.json", "damaged") in findings(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plan.json", b'{"suites": ['),
        ("load/requests.parquet", b"PAR1 and no more"),
        ("plan.json", b"[" * 99999),
        ("report.json", b'{"verdict":"FAIL","verdict":"PASS"}'),
        ("plan.json", b'{"limit":NaN}'),
    ],
    ids=["cut JSON", "no Parquet", "endless JSON", "a key twice", "not a number"],
)
def test_a_file_that_was_sealed_damaged_is_named(folder, name, content):
    (folder / "evidence" / name).write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    rewrite_manifest(folder, lambda m: entry_of(m, name).update(entry))
    assert findings(folder) == [(f"evidence/{name}", "damaged")]


def test_a_newer_format_is_refused_by_name(folder):
    rewrite_manifest(folder, lambda m: m.update(format="tidegate.dev/evidence/v2"))
    with pytest.raises(ConfigurationError, match=r"manifest\.json: format 'tidegate\.dev/evidence/v2'"):
        verify(open_evidence(folder))


def test_hostile_names_in_the_folder_are_shown_harmlessly(folder):
    (folder / "evidence" / "\x1b[2J<script>").write_text("")
    assert findings(folder) == [("evidence/\\x1b[2J<script>", "added")]


@pytest.mark.parametrize(
    "prepare",
    [
        lambda path: None,
        lambda path: path.write_text("a file"),
        lambda path: path.mkdir(),
        lambda path: (path / "evidence").mkdir(parents=True),
    ],
    ids=["nothing", "a file", "an empty folder", "a run under way"],
)
def test_what_is_no_evidence_folder_is_refused_by_name(tmp_path, prepare):
    prepare(tmp_path / "it")
    with pytest.raises(ConfigurationError, match="it"):
        open_evidence(tmp_path / "it")


def test_an_evidence_folder_that_is_a_link_is_refused(folder, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/evidence").symlink_to(folder / "evidence")
    with pytest.raises(ConfigurationError, match="a link"):
        open_evidence(tmp_path / "other")
