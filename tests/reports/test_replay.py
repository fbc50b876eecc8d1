"""The page of a replay: whole, silent, and with the deciding moment in every plot."""

import re
from dataclasses import replace

import pytest

from guard.core.replay import replay
from guard.core.rollout import Rollout
from reports.replay import render_replay
from tests.core.recorded import STEPS, evals, rollout


@pytest.fixture(scope="module")
def rolled_back():
    whole = rollout(fails_from=50.0, evals=evals([(float(i), True, i % 2 == 0) for i in range(1, 150)]))
    decision = replay(whole)
    return decision, render_replay("err-5pct", whole, decision)


def test_the_deciding_moment_is_in_every_plot(rolled_back):
    decision, page = rolled_back
    plots = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(plots) == 8
    label = f"ROLLBACK by {decision.signal}, {decision.at_seconds:g} s"
    assert all(label in plot for plot in plots)


def test_each_plot_tells_a_reader_who_cannot_see_it_what_it_shows(rolled_back):
    _, page = rolled_back
    labels = re.findall(r'aria-label="([^"]+)"', page)
    assert "Evidence of harm (weighted sum of e-values)." in labels[0]
    assert all(len(label) > 20 for label in labels)


def test_the_threshold_is_drawn_and_named(rolled_back):
    _, page = rolled_back
    assert "threshold 111" in page
    assert 'class="line limit"' in page


def test_the_page_loads_nothing_and_runs_nothing(rolled_back):
    _, page = rolled_back
    assert "default-src 'none'" in page
    for word in ("<script", "http:", "https:", "<link", "<img", "@import", "url("):
        assert word not in page


def test_names_of_others_stay_text():
    whole = rollout()
    whole = replace(whole, dropped={"<b>bold</b>\x1b[31m": 2})
    page = render_replay("<script>alert(1)</script>", whole, replay(whole))
    assert "<script" not in page
    assert "<b>bold" not in page
    assert "\x1b" not in page


def test_a_rollout_without_any_data_still_gives_a_page():
    whole = Rollout(STEPS, 200.0)
    page = render_replay("nothing", whole, replay(whole))
    assert "NO DATA" in page
    assert "no canary request seen" in page


def test_the_same_decision_gives_the_same_page(rolled_back):
    whole = rollout(fails_from=50.0, evals=evals([(float(i), True, i % 2 == 0) for i in range(1, 150)]))
    assert render_replay("err-5pct", whole, replay(whole)) == rolled_back[1]
