import json
import math

from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.core.waiting import Waiting


def _sample(request_id="r", **fields):
    return RequestSample(request_id, Source.PROBE, Arm.CANARY, **{"sent_at": 10.0, **fields})


def _ended(waiting, *samples):
    return [(sample.request_id, at) for sample, at in waiting.ended(samples)]


def test_success_is_known_when_it_ends_and_an_error_after_sixty_seconds_at_the_latest():
    ok = _sample("ok", finished_at=90.0, outcome=Outcome.OK)
    error = _sample("error", finished_at=90.0, outcome=Outcome.TRUNCATED)
    refused = _sample("refused", finished_at=10.1, outcome=Outcome.REFUSED)
    assert _ended(Waiting(), ok, error, refused) == [("ok", 90.0), ("error", 70.0), ("refused", 10.1)]


def test_request_without_first_token_is_a_timeout_after_sixty_seconds_and_counts_once():
    waiting = Waiting()
    assert _ended(waiting, _sample()) == []
    assert list(waiting.expired(69.9)) == []
    [(sample, at)] = waiting.expired(75.0)
    assert (sample.outcome, at) == (Outcome.TIMEOUT, 70.0)
    assert list(waiting.expired(80.0)) == []
    assert _ended(waiting, _sample(finished_at=90.0, outcome=Outcome.OK)) == []


def test_a_token_that_comes_too_late_does_not_make_a_request_wait_again():
    waiting = Waiting()
    _ended(waiting, _sample())
    assert len(list(waiting.expired(75.0))) == 1
    _ended(waiting, _sample(), _sample(first_token_at=74.0))
    assert list(waiting.expired(200.0)) == []
    assert waiting.state()["waiting"] == []


def test_streaming_request_is_not_timed_out():
    waiting = Waiting()
    _ended(waiting, _sample(first_token_at=11.0))
    assert list(waiting.expired(500.0)) == []
    assert _ended(waiting, _sample(finished_at=500.0, outcome=Outcome.OK)) == [("r", 500.0)]


def test_samples_without_a_time_are_dropped_and_counted():
    waiting = Waiting()
    assert _ended(waiting, _sample(sent_at=None, outcome=Outcome.OK)) == []
    assert _ended(waiting, _sample(sent_at=math.nan, outcome=Outcome.OK)) == []
    assert waiting.dropped == 2


def test_waiting_requests_survive_a_restart():
    waiting = Waiting()
    _ended(waiting, _sample())
    resumed = Waiting.from_state(json.loads(json.dumps(waiting.state())))
    assert [at for _, at in resumed.expired(75.0)] == [70.0]
