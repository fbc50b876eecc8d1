"""Reading a report that was written long ago, or by someone else."""

import json
from dataclasses import replace

import pytest

from guard.adapters.artifacts import OutputFolder
from guard.adapters.evidence import open_evidence, parse_report, read_report, seal_report
from guard.core.evidence import LastKnownGood
from guard.errors import ConfigurationError
from tests.adapters.sealed import REPORT, seal
from tests.core.test_evidence import FULL


def parsed(document):
    return parse_report(json.dumps(document).encode(), "report.json")


def test_report_survives_a_round_trip_through_json_text():
    report = replace(FULL, last_known_good=LastKnownGood("ops-0", "sha256:00"), approval="not needed")
    assert parsed(report.to_json()) == report


def test_fields_that_a_later_version_adds_are_left_out():
    document = FULL.to_json() | {"later": 1}
    for row in (document["sections"][0], document["sections"][0]["checks"][0], document["rollback"]):
        row["later"] = {"x": 1}
    assert parsed(document) == FULL


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": "tidegate.dev/verdict/v9"}, "v9"),
        ({"format": None}, "format 'None'"),
        ({"verdict": "SPLENDID"}, "verdict"),
        (
            {"sections": [{"name": "x", "verdict": "PASS", "checks": [{"name": 3}]}]},
            r"sections\.0\.checks\.0",
        ),
        ({"started_at": "yesterday"}, "started_at"),
        ({"timeline": "none"}, "timeline"),
    ],
    ids=["newer", "none", "verdict", "check", "time", "timeline"],
)
def test_a_report_that_cannot_be_read_is_refused_by_field(change, named):
    with pytest.raises(ConfigurationError, match=rf"^report\.json: .*{named}"):
        parsed(FULL.to_json() | change)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 99999])
def test_what_is_no_report_is_refused_by_name(content):
    with pytest.raises(ConfigurationError, match=r"^report\.json: "):
        parse_report(content, "report.json")


def test_what_is_shown_at_once_is_what_the_evidence_says_later(tmp_path):
    report = replace(REPORT, reason="said sk-never-written-down", requests=FULL.requests)
    folder = OutputFolder.prepare(tmp_path, [], ["sk-never-written-down"])
    shown = seal_report(folder, report)
    assert shown.reason == "said [redacted]"
    assert shown.requests == report.requests


def test_a_read_report_lists_every_file_with_the_manifest_last(tmp_path):
    files = [file.path for file in read_report(open_evidence(seal(tmp_path))).files]
    assert files[-1] == "evidence/manifest.json"
    assert files[:-1] == sorted(files[:-1])
    assert all((tmp_path / path).is_file() for path in files)
