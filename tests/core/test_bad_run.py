import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.core.bad_run import BadRun, Run


def _run(good=(), bad=()):
    run = BadRun()
    run.add(np.array(good, float), np.array(bad, float))
    return run


@pytest.mark.parametrize(
    ("good", "bad", "found"),
    [
        pytest.param([], [], None, id="nothing"),
        pytest.param([3.0], [], None, id="good alone"),
        pytest.param([], [1.0, 1.5, 12.0], Run(3, 1.0, 12.0), id="bad from the first on"),
        pytest.param([2.0], [1.0, 3.0, 4.5], Run(2, 3.0, 4.5), id="those after the last good one"),
        pytest.param([5.0], [1.0, 3.0], None, id="ended by a good one"),
        pytest.param([3.25], [3.0, 3.5], Run(1, 3.5, 3.5), id="within one second"),
    ],
)
def test_a_run_is_the_bad_ones_after_the_last_good_one(good, bad, found):
    assert _run(good, bad).now(20.0) == found


def test_a_run_reaches_back_five_minutes():
    assert _run([], [10.0, 200.0, 400.0]).now(405.0) == Run(2, 200.0, 400.0)


def test_a_good_one_that_is_told_late_ends_what_was_before_it():
    run = _run([], [1.0, 4.0, 9.0])
    run.add(np.array([5.0]), np.zeros(0))
    assert run.now(10.0) == Run(1, 9.0, 9.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.booleans(), st.booleans()), max_size=30))
def test_runs_in_parts_are_those_at_once(rows):
    """Moments in quarters of a second; whether bad; in which part."""
    times = {True: [], False: []}
    run, parts = BadRun(), [[r for r in rows if r[2] is part] for part in (True, False)]
    for part in parts:
        sides = [[at / 4 for at, bad, _ in part if bad is side] for side in (False, True)]
        run.add(*map(np.array, sides))
        times[False] += sides[0]
        times[True] += sides[1]
    bad = [at for at in times[True] if at > max(times[False], default=-1.0)]
    found = run.now(100.0)
    # A second's bad ones before a good one in it are forgotten with it, and so are a few after it.
    assert (found is None) if not bad else (found is None or found.last == max(bad))
    assert (found.requests if found else 0) <= len(bad)


def test_memory_does_not_grow_with_requests():
    run = _run([], np.random.default_rng(1).uniform(0, 600, 20000))
    assert run.now(600.0).requests > 9000
    assert len(run.state()["seconds"]) <= 301


def test_resumed_runs_go_on():
    run = _run([2.0], [3.0, 15.5])
    resumed = BadRun.from_state(json.loads(json.dumps(run.state())))
    resumed.add(np.zeros(0), np.array([15.7]))
    assert resumed.now(20.0) == Run(3, 3.0, 15.7)
