import re
from dataclasses import replace

import pytest

from guard.core.check import Check
from guard.core.samples import Arm, Outcome, Source
from guard.core.series import RequestPoint
from guard.core.verdict import Verdict
from reports.plots import plots
from reports.svg import TOP, Scale


def test_change_shows_latency_weight_and_errors_with_the_decision_marked(change_report):
    pages = plots(change_report)
    titles = [re.search(r"<title>(.*?)</title>", page)[1] for page in pages]
    assert [title.split(":")[0] for title in titles] == [
        "Time to first token",
        "Time to first token of each request, over time",
        "Share of traffic that went to the canary",
        "Share of requests that failed, over time",
    ]
    assert [("decided: errors" in page) for page in pages] == [False, True, True, True]


def test_the_decision_is_labelled_above_the_plot_and_below_the_legend(change_report):
    weight = plots(change_report)[2]
    label = re.search(r'y="([\d.]+)">decided: errors<', weight)
    assert 36 + 12 <= float(label[1]) < TOP


def test_failed_requests_stay_out_of_the_distribution(change_report):
    failed = sum(p.outcome is not Outcome.OK for p in change_report.requests if p.arm is Arm.CANARY)
    every = sum(p.arm is Arm.CANARY for p in change_report.requests)
    assert f"canary, n = {every - failed}" in plots(change_report)[0]


def test_two_sources_never_share_a_plot(gate_report):
    probe = RequestPoint(gate_report.started_at, Arm.CANARY, Source.PROBE, 0.1, Outcome.OK)
    with_probe = replace(gate_report, requests=(*gate_report.requests, probe))
    assert len(plots(with_probe)) == len(plots(gate_report)) + 2


@pytest.mark.parametrize("ttft", [0.0, 0.2])
def test_single_request_can_be_drawn(ttft, gate_report):
    point = RequestPoint(gate_report.started_at, Arm.CANARY, Source.LOAD, ttft, Outcome.OK)
    drawn = "".join(plots(replace(gate_report, requests=(point,), traffic=())))
    assert "nan" not in drawn
    assert "inf" not in drawn


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0, 1, 0, 100), [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (Scale(0, 187, 0, 100), [0, 50, 100, 150]),
        (Scale(0.08, 3, 0, 100, logarithmic=True), [0.1, 0.2, 0.5, 1, 2]),
    ],
)
def test_ticks_are_round(scale, ticks):
    assert scale.ticks() == pytest.approx(ticks)


def test_scale_keeps_what_lies_outside_at_its_edge():
    scale = Scale(0, 10, 100, 200)
    assert (scale(-5), scale(5), scale(50)) == (100, 150, 200)


def test_very_long_run_stays_small(change_report):
    many = tuple(replace(change_report.requests[0], at=change_report.started_at + i) for i in range(50_000))
    assert sum(len(page) for page in plots(replace(change_report, requests=many))) < 200_000


def test_only_absolute_objectives_are_drawn_as_limits(change_report):
    section = change_report.sections[0]
    wide = Check("ttft-median", Verdict.PASS, "wide", "ttft", 0.2, 10.0, unit="seconds")
    drawn = "".join(
        plots(replace(change_report, sections=(*change_report.sections, replace(section, checks=(wide,)))))
    )
    assert "limit 750 ms" in drawn
    assert "limit 10 s" not in drawn
