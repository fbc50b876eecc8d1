import re
from dataclasses import replace

import pytest

from guard.core.check import Check
from guard.core.evidence import Difference, Event, FieldDifference, LastKnownGood, RawFile, Section
from guard.core.verdict import Verdict
from reports.html import render_html

HOSTILE = "<script>alert(1)</script>\x1b[31m\x00\ud800\u202e{{ 7 * 7 }}\"'>"


def test_hostile_text_stays_text_wherever_it_stands(change_report):
    check = Check(HOSTILE, Verdict.FAIL, HOSTILE, "errors", detail={HOSTILE: [HOSTILE]})
    page = render_html(
        replace(
            change_report,
            title=HOSTILE,
            reason=HOSTILE,
            model=HOSTILE,
            sections=(Section("live", Verdict.FAIL, (check,), error=HOSTILE, note=HOSTILE),),
            notes=(HOSTILE,),
            approval=HOSTILE,
            plan_digest=HOSTILE,
            last_known_good=LastKnownGood(HOSTILE, HOSTILE, HOSTILE),
            changed=(FieldDifference(HOSTILE, f"{HOSTILE} one", f"{HOSTILE} two", Difference.EXPECTED),),
            timeline=(Event(change_report.started_at, HOSTILE, HOSTILE),),
            files=(RawFile(f"evidence/{HOSTILE}", HOSTILE, 1),),
        )
    )
    assert "<script" not in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ud800]", page)
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;\x1b[31m\x00\ud800\u202e{{ 7 * 7 }}" in page
    page.encode()


@pytest.mark.parametrize("name", ["change_report", "gate_report"])
def test_page_loads_nothing_and_runs_nothing(name, request):
    page = render_html(request.getfixturevalue(name))
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.search(
        r"\b(src|srcset|poster|data)\s*=|@import|url\(|<link|<iframe|<object|\son\w+\s*=", page
    )
    assert not [link for link in re.findall(r'href="([^"]*)"', page) if "://" in link]


def test_broken_objectives_stand_before_every_check_that_passed(change_report):
    page = render_html(change_report)
    assert page.index("step 2 (50 %): live / errors") < page.index("stream-is-whole")
    assert page.index("live / errors") < page.index("live / objective-ttft-p95")


def test_every_verdict_states_value_limit_samples_and_window(change_report):
    row = re.search(r'<tr class="fail"><th scope="row">step 2.*?</tr>', render_html(change_report), re.DOTALL)
    assert row
    for label, shown in {
        "Observed": "23.3 %",
        "Limit": "5 %",
        "Stable": "0 %",
        "Samples": "43",
        "Window": "20 s",
    }.items():
        assert f'data-label="{label}">{shown}<' in row[0]


def test_verdict_is_told_in_words_and_not_by_colour_alone(change_report):
    page = re.sub(r"<[^>]*>", "", render_html(change_report))
    assert re.search(r"✕\s*FAIL", page)
    assert re.search(r"✓\s*PASS", page)


def test_a_pass_that_looks_like_a_failure_is_marked_as_undecided(change_report):
    check = Check("errors-live", Verdict.PASS, "1 of 1 canary requests bad", "errors", 1.0, 0.0042)
    sections = (Section("live", Verdict.PASS, (check.as_undecided(),)),)
    page = " ".join(re.sub(r"<[^>]*>", "", render_html(replace(change_report, sections=sections))).split())
    assert "✓ PASS undecided" in page
    assert "not decided yet: 1 of 1" in page
    assert "PASS undecided" not in re.sub(r"<[^>]*>", "", render_html(change_report))


def test_reader_is_told_who_approved_what_and_what_there_was_to_return_to(change_report):
    good = LastKnownGood("ops-0", "sha256:ab", "2027-01-14T00:00:00Z")
    report = replace(change_report, approval="not needed at risk R1", last_known_good=good)
    page = re.sub(r"<[^>]*>", "", render_html(report))
    assert "not needed at risk R1" in page
    assert "change ops-0, sha256:ab, recorded 2027-01-14T00:00:00Z" in page
    assert "none was recorded" in render_html(change_report)


def test_steps_are_told_in_order_before_every_check(change_report):
    sections = (
        replace(change_report.sections[0], stage="before-traffic"),
        change_report.sections[2],
        replace(change_report.sections[1], stage="after-rollback"),
    )
    page = render_html(replace(change_report, sections=sections))
    table = page[page.index('id="stages"') : page.index('id="checks"')]
    rows = re.findall(r'<tr class="(\S+)"><th scope="row">([^<]*)</th>', table)
    assert rows[:3] == [("pass", "before traffic"), ("fail", "step 2 (50 %)"), ("pass", "after rollback")]


def test_only_the_words_that_differ_are_marked(change_report):
    row = FieldDifference(
        "args", "--ctx-size=2048 --slots=2", "--ctx-size=224 --slots=2", Difference.EXPECTED
    )
    marked = re.findall(r"<mark>([^<]*)</mark>", render_html(replace(change_report, changed=(row,))))
    assert marked == ["--ctx-size=2048", "--ctx-size=224"]


def test_links_lead_to_the_evidence_from_where_the_page_will_be(change_report):
    page = render_html(change_report, "../years ago/evidence")
    assert 'href="../years%20ago/evidence/requests.parquet"' in page


def test_rollback_times_and_users_failures_are_told(change_report):
    page = " ".join(render_html(change_report).split())
    for name, took in {
        "fault onset": "29.7 s",
        "the deciding sample": "410 ms",
        "the patch": "120 ms",
    }.items():
        assert re.search(rf'<th scope="row">{name}</th><td>[^<]*</td><td class="num">{took}</td>', page)
    assert "10 of 412; 0 of them because of the rollback or promotion" in page


def test_streams_that_nobody_counted_are_called_so_and_have_no_dashes(change_report):
    assert "2 finished, 0 cut" in render_html(change_report)
    rollback = replace(change_report.rollback, streams_finished=None, streams_cut=None)
    page = render_html(replace(change_report, rollback=rollback))
    assert "<dt>Streams in flight at the patch</dt><dd>not counted</dd>" in page


def test_the_same_suite_of_two_stages_is_headed_with_its_stage(change_report):
    sections = tuple(
        replace(change_report.sections[0], stage=stage) for stage in ("before-traffic", "after-rollback")
    )
    page = render_html(replace(change_report, sections=sections))
    assert [h.strip() for h in re.findall(r"<h3>([^<]*smoke)", page)] == [
        "before traffic: smoke",
        "after rollback: smoke",
    ]


def test_report_without_any_series_has_no_empty_plot(gate_report):
    page = render_html(replace(gate_report, requests=(), traffic=()))
    assert "<svg" not in page


def test_run_that_judged_nothing_says_so_and_not_that_all_passed(gate_report):
    page = render_html(replace(gate_report, verdict=Verdict.ERROR, sections=(), requests=(), traffic=()))
    assert "Nothing was run" in page
    assert "Every check that was judged passed" not in page


def test_same_report_gives_the_same_bytes(change_report):
    assert render_html(change_report) == render_html(change_report)
