import hashlib
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from guard.adapters.artifacts import OutputFolder, canonical, replace_file
from guard.core.evidence import FORMAT
from guard.errors import ConfigurationError

KEY = 'sk-very"secret/key'


def test_canonical_json_sorts_keys_and_writes_numbers_as_rfc_8785_says():
    assert canonical({"b": 1.0, "a": [1e21, 0.1, None], "ö": "\u20ac"}) == (
        '{"a":[1e+21,0.1,null],"b":1,"ö":"\u20ac"}'.encode()
    )


def test_canonical_takes_what_a_model_may_have_written():
    assert canonical({"text": "\ud800", "number": 2**70, "nan": float("nan")}) == (
        b'{"nan":null,"number":"1180591620717411303424","text":"?"}'
    )


def test_manifest_holds_size_and_checksum_of_every_file(tmp_path):
    folder = OutputFolder.prepare(tmp_path / "out", [])
    folder.write_evidence("load/load.json", {"a": 1})
    files = folder.seal()
    manifest = json.loads((tmp_path / "out/evidence/manifest.json").read_bytes())
    assert manifest["files"] == [
        {"bytes": 7, "path": "load/load.json", "sha256": hashlib.sha256(b'{"a":1}').hexdigest()}
    ]
    assert [file.path for file in files] == ["evidence/load/load.json", "evidence/manifest.json"]


def test_manifest_of_a_folder_that_is_sealed_again_does_not_list_itself(tmp_path):
    folder = OutputFolder.prepare(tmp_path, [])
    folder.write_evidence("load/load.json", {"a": 1})
    folder.seal()
    folder.write_evidence("load/manifest.json", {"of": "a suite"})
    (folder.evidence / ".manifest.json.part").write_bytes(b"half")
    again = [file.path for file in folder.seal()]
    assert again == ["evidence/load/load.json", "evidence/load/manifest.json", "evidence/manifest.json"]


def test_key_is_nowhere_in_the_folder_whatever_wrote_it(tmp_path):
    folder = OutputFolder.prepare(tmp_path, [], [KEY])
    folder.write_evidence("a.json", {"error": f"Bearer {KEY} refused"})
    (folder.evidence / "log.txt").write_text(f"sent {KEY}")
    (folder.evidence / "b.json").write_text(json.dumps({"echo": KEY}))
    table = pa.table({"answer": [f"you said {KEY}", None], "n": [1, 2]})
    pq.write_table(table.replace_schema_metadata({"tidegate": KEY}), folder.evidence / "evals.parquet")
    folder.seal()
    for path in folder.evidence.rglob("*.*"):
        content = path.read_bytes()
        assert KEY.encode() not in content
        assert json.dumps(KEY)[1:-1].encode() not in content
    clean = pq.read_table(folder.evidence / "evals.parquet")
    assert clean.column("answer").to_pylist() == ["you said [redacted]", None]
    assert KEY.encode() not in clean.schema.metadata[b"tidegate"]


def test_parquet_without_a_secret_is_left_as_it_was_written(tmp_path):
    folder = OutputFolder.prepare(tmp_path, [], [KEY])
    file = folder.evidence / "requests.parquet"
    pq.write_table(pa.table({"error": ["none", None]}), file)
    before = file.read_bytes()
    folder.seal()
    assert file.read_bytes() == before


def test_earlier_result_can_never_be_read_as_this_runs(tmp_path):
    first = OutputFolder.prepare(tmp_path, ["verdict.json"])
    first.write("verdict.json", json.dumps({"format": FORMAT, "verdict": "PASS"}).encode())
    first.write_evidence("old.json", {})
    second = OutputFolder.prepare(tmp_path, ["verdict.json"])
    assert not (tmp_path / "verdict.json").exists()
    assert list(second.evidence.iterdir()) == []


def test_strange_folder_named_evidence_is_not_removed(tmp_path):
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "mine.txt").write_text("keep")
    (tmp_path / "other.txt").write_text("keep")
    with pytest.raises(ConfigurationError, match="choose another folder"):
        OutputFolder.prepare(tmp_path, ["verdict.json"])
    assert (tmp_path / "evidence" / "mine.txt").read_text() == "keep"


def test_folder_that_cannot_be_made_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"--out .*file"):
        OutputFolder.prepare(tmp_path / "file" / "out", [])


def test_link_out_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "secret.txt").write_text("outside")
    folder = OutputFolder.prepare(tmp_path / "out", [])
    os.symlink(tmp_path / "secret.txt", folder.evidence / "link")
    assert [file.path for file in folder.seal()] == ["evidence/manifest.json"]


def test_a_pipe_or_a_device_is_never_replaced_by_a_file(tmp_path):
    """As root a rename would put a regular file in the place of /dev/null."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for path in (pipe, tmp_path / "link"):
        with pytest.raises(ConfigurationError, match="no regular file"):
            replace_file(path, b"report")
    assert pipe.is_fifo()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "pipe"]
