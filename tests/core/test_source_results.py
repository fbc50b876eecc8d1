import json

import numpy as np
import pytest

from guard.core.recent_results import Tally
from guard.core.samples import Arm
from guard.core.source_results import SourceResults

OK, BAD, CLIENT = (1, 0, 0), (1, 1, 0), (1, 0, 1)


def _add(results, *rows, single=True):
    """(at, canary, counts)"""
    at, canary, counts = zip(*rows, strict=True)
    results.add(np.array(at, float), np.array(canary), np.array(counts, np.int64), single)
    return results


def test_the_stables_sums_are_kept_for_ever_and_the_canarys_are_not():
    results = _add(SourceResults(), (1.0, False, OK), (2.0, False, CLIENT), (3.0, True, BAD))
    results.recent.forget(1000.0)
    assert results.stable == Tally(2, 0, 1)
    assert results.recent.tally(Arm.CANARY) == Tally()


def test_a_client_error_is_bad_in_one_run_and_nothing_in_the_other():
    results = _add(SourceResults(), (1.0, True, OK), (2.0, True, BAD), (3.0, True, CLIENT), (4.0, True, BAD))
    assert results.run.now(5.0).requests == 3
    assert results.run_without_client_errors.now(5.0).requests == 2


def test_blocks_of_counters_and_the_baseline_are_in_no_run():
    results = _add(SourceResults(), (1.0, True, (5, 5, 0)), single=False)
    _add(results, (2.0, False, BAD))
    assert results.run.now(5.0) is None


@pytest.mark.parametrize("at", [np.nan, np.inf])
def test_what_ended_at_no_moment_is_left_out(at):
    results = _add(SourceResults(), (at, False, OK), (at, True, BAD))
    assert (results.stable, results.run.now(5.0)) == (Tally(), None)


def test_resumed_results_are_the_same():
    results = _add(SourceResults(), (1.0, False, OK), (2.0, True, BAD), (3.0, True, CLIENT))
    assert SourceResults.from_state(json.loads(json.dumps(results.state()))).state() == results.state()
