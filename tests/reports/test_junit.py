from dataclasses import replace
from xml.etree import ElementTree

import pytest

from guard.core.check import Check
from guard.core.evidence import Section
from guard.core.verdict import NotJudged, Verdict
from reports.junit import render_junit


def _cases(report):
    root = ElementTree.fromstring(render_junit(report))
    return {(s.get("name"), c.get("name")): c for s in root for c in s.findall("testcase")}


@pytest.mark.parametrize(
    ("verdict", "tag"),
    [
        (Verdict.PASS, None),
        (Verdict.FAIL, "failure"),
        (Verdict.ERROR, "error"),
        (Verdict.NO_DATA, "skipped"),
        (Verdict.INCONCLUSIVE, "skipped"),
        (NotJudged.NOT_COMPARED, "skipped"),
        (NotJudged.NOT_APPLICABLE, "skipped"),
    ],
)
def test_each_verdict_has_its_tag(verdict, tag, gate_report):
    check = Check("c", verdict, "why", "ttft", 1.5, 0.75, 0.2, "seconds", 20, 30.0)
    case = _cases(replace(gate_report, sections=(Section("load", None, (check,)),)))["load", "c"]
    found = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
    assert found == ([tag] if tag else [])


@pytest.mark.parametrize(
    ("verdict", "tag"),
    [
        ("PASS", None),
        ("FAIL", "failure"),
        ("ERROR", "error"),
        ("NO_DATA", "failure"),
        ("INCONCLUSIVE", "failure"),
    ],
)
def test_nothing_but_pass_is_green_as_a_whole(verdict, tag, gate_report):
    case = _cases(replace(gate_report, verdict=Verdict(verdict)))["tidegate", "verdict"]
    assert [c.tag for c in case if c.tag not in ("system-out", "properties")] == ([tag] if tag else [])


def test_value_limit_samples_and_window_are_properties(change_report):
    case = _cases(change_report)["step 2 (50 %): live", "errors"]
    found = {p.get("name"): p.get("value") for p in case.find("properties")}
    assert (
        found.items() >= {"value": "0.233", "limit": "0.05", "samples": "43", "window_seconds": "20"}.items()
    )


def test_suite_that_broke_or_did_not_run_is_not_lost(gate_report):
    sections = (
        Section("eval", Verdict.ERROR, error="collection failed"),
        Section("load", None, note="smoke failed"),
    )
    cases = _cases(replace(gate_report, sections=sections))
    assert cases["eval", "suite"].find("error").get("message") == "collection failed"
    assert cases["load", "suite"].find("skipped").get("message") == "smoke failed"


def test_the_whole_says_who_asked_and_how_long_the_rollback_took(change_report):
    case = _cases(change_report)["tidegate", "verdict"]
    found = {p.get("name"): p.get("value") for p in case.find("properties")}
    assert (
        found.items() >= {"ticket": "CHG-1042", "action": "RolledBack", "from_patch_seconds": "0.12"}.items()
    )


def test_totals_count_what_stands_in_the_file(change_report):
    root = ElementTree.fromstring(render_junit(change_report))
    for total, tag in (
        ("tests", "testcase"),
        ("failures", "failure"),
        ("skipped", "skipped"),
        ("errors", "error"),
    ):
        assert int(root.get(total)) == len(root.findall(f".//{tag}"))


def test_characters_that_xml_cannot_carry_are_written_out(gate_report):
    text = "\x00\x1b[31m<b>]]>&\ud800\ufffe"
    check = Check(text, Verdict.FAIL, text)
    report = replace(gate_report, title=text, sections=(Section("load", Verdict.FAIL, (check,)),))
    case = _cases(report)["load", r"\x00\x1b[31m<b>]]>&\ud800\ufffe"]
    assert case.find("failure").text == r"\x00\x1b[31m<b>]]>&\ud800\ufffe"


def test_model_text_is_left_out(change_report):
    assert b"alert(1)" not in render_junit(change_report)
