from dataclasses import replace

import pytest

from guard.core.check import Check
from guard.core.evidence import Section
from guard.core.verdict import Verdict
from reports.markdown import render_markdown
from reports.words import UNKNOWN


def test_verdict_and_what_broke_come_first(change_report):
    lines = render_markdown(change_report).splitlines()
    assert lines[0].startswith("# ❌ RolledBack: chat")
    assert "## What did not pass" in lines[: lines.index("## smoke: PASS")]


def test_row_states_value_limit_baseline_samples_and_window(change_report):
    row = next(line for line in render_markdown(change_report).splitlines() if "live / errors" in line)
    assert [cell.strip() for cell in row.split("|")][2:8] == ["✕ FAIL", "23.3 %", "5 %", "0 %", "43", "20 s"]


def test_hostile_text_makes_no_markup_link_mention_or_row(gate_report):
    text = "<img src=x>|`[a](http://evil)` @everyone\n# Passed \x1b[2J www.evil.example"
    check = Check(text, Verdict.FAIL, text, detail={"text": "<script>"})
    page = render_markdown(replace(gate_report, sections=(Section("load", Verdict.FAIL, (check,)),)))
    shown = (
        r"\<img src=x\>\|\`\[a\](http\://evil)\` "
        + "@\u200beveryone # Passed "
        + r"\\x1b\[2J www\.evil.example"
    )
    assert f"| {shown} |" in page
    assert f"| load / {shown} |" in page
    assert "\x1b" not in page
    assert "script" not in page


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("# Passed", r"\# Passed"),
        ("- item", r"\- item"),
        ("1. first", r"1\. first"),
        ("5.74 s", "5.74 s"),
        ("ttft-p95: 1.2 s > 0.75 s", r"ttft-p95: 1.2 s \> 0.75 s"),
        (":tada: engine_arguments _b_", r"\:tada: engine_arguments \_b\_"),
    ],
)
def test_only_what_markdown_would_obey_is_escaped(reason, shown, gate_report):
    assert f"\n\n{shown}\n\n" in render_markdown(replace(gate_report, reason=reason))


def test_a_pass_that_looks_like_a_failure_is_marked_as_undecided(gate_report):
    check = Check("errors-live", Verdict.PASS, "1 of 1 canary requests bad", "errors", 1.0, 0.0042)
    sections = (Section("live", Verdict.PASS, (check.as_undecided(),)),)
    assert "| ✓ PASS, undecided |" in render_markdown(replace(gate_report, sections=sections))
    assert "undecided" not in render_markdown(gate_report)


def test_gate_without_a_baseline_says_not_compared(gate_report):
    assert "none: not compared" in render_markdown(replace(gate_report, baseline=None))


def test_rollback_and_timeline_are_told_with_their_times(change_report):
    text = render_markdown(change_report)
    assert f"| the patch | {UNKNOWN} | 120 ms |" in text
    assert "| 2025-10-09 08:56:00.000 UTC | Decided | FAIL by errors |" in text


def test_suite_that_did_not_run_says_why(change_report):
    assert "NOT RUN\n\nnot run: the step was rolled back" in render_markdown(change_report)


@pytest.mark.parametrize(
    ("action", "emoji"), [("Promoted", "✅"), ("RolledBack", "❌"), ("Abandoned", "⚠️"), ("Refused", "⛔")]
)
def test_only_a_promoted_change_is_green_whatever_its_analysis_said(change_report, action, emoji):
    report = replace(change_report, action=action, verdict=Verdict.PASS, outcome=f"{action} by an operator")
    lines = render_markdown(report).splitlines()
    assert lines[0].startswith(f"# {emoji} {action} by an operator: chat")
    assert "- **Analysis**: PASS" in lines
