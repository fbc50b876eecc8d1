"""What a recorded rollout tells a decision at t: everything until then, once, and nothing later."""

from dataclasses import replace

import numpy as np

from guard.core.blocks import CounterBlock, PodEvent
from guard.core.observations import BAD, OK, WAITS
from guard.core.replay_feed import Feed, as_known
from guard.core.rollout import Rollout
from guard.core.samples import Arm, Source
from tests.core.recorded import STEPS, evals, log, rollout


def _feed(requests, ticks, **parts):
    return list(Feed(Rollout(STEPS, 200.0, requests={Source.USER: requests}, **parts), ticks))


def test_a_request_comes_as_it_is_sent_as_it_answers_and_as_it_ends():
    requests = log([1.0], [True], ttft=6.0, took=11.0)
    stages = [news.requests[Source.USER] for news in _feed(requests, [5.0, 10.0, 15.0])]
    assert [rows.ids for rows in stages] == [[0], [0], [0]]
    assert [bool(np.isnan(rows.first_token[0])) for rows in stages] == [True, False, False]
    assert [int(rows.outcome[0]) for rows in stages] == [WAITS, WAITS, OK]
    assert [bool(np.isnan(rows.itl_mean[0])) for rows in stages] == [True, True, False]


def test_a_tick_without_news_brings_nothing():
    requests = log([1.0], [True])
    assert [news.requests for news in _feed(requests, [5.0, 10.0])][1] == {}


def test_a_request_of_one_tick_comes_once_and_whole():
    news, later = _feed(log([1.0, 2.0], [True, False], bad=[0]), [5.0, 10.0])
    rows = news.requests[Source.USER]
    assert rows.ids == [0, 1]
    assert rows.outcome.tolist() == [BAD, OK]
    assert later.requests == {}


def test_what_happens_at_a_tick_is_known_at_it():
    (news, later) = _feed(log([5.0], [True]), [5.0, 10.0])
    assert news.requests[Source.USER].ids == [0]
    assert later.requests[Source.USER].outcome.tolist() == [OK]


def test_what_never_happens_is_no_news():
    waiting = replace(log([1.0], [True]), first_token=np.array([np.nan]), finished=np.array([np.nan]))
    assert [len(news.requests) for news in _feed(waiting, [5.0, 10.0, 1e9])] == [1, 0, 0]


def test_an_answer_before_the_request_was_known_waits_for_it():
    early = replace(log([1.0], [True]), known=np.array([7.0]))
    assert [list(news.requests) for news in _feed(early, [5.0, 10.0])] == [[], [Source.USER]]


def test_a_block_is_known_from_its_end_and_events_and_items_from_their_moment():
    block = CounterBlock(Source.USER, Arm.CANARY, "c", 3.0, 4.0, 5)
    event = PodEvent(6.0, Arm.CANARY, "c", "oom", "")
    parts = dict(blocks=(block,), events=(event,), evals=evals([(4.0, True, False), (9.0, True, True)]))
    first, second = _feed(log([1.0], [True]), [5.0, 10.0], **parts)
    assert (first.blocks, first.events, len(first.items)) == ((), (), 1)
    assert (second.blocks, second.events, len(second.items)) == ((block,), (event,), 1)


def test_every_row_ends_up_as_it_was_recorded():
    whole = rollout(fails_from=50.0)
    recorded = whole.requests[Source.USER]
    last = {}
    for news in Feed(whole, [float(t) for t in range(0, 400, 5)]):
        for rows in news.requests.values():
            last |= dict(zip(rows.ids, rows.outcome.tolist(), strict=True))
    assert [last[i] for i in range(len(recorded))] == recorded.outcome.tolist()


def test_as_known_hides_whatever_came_later():
    rows = as_known(log([1.0, 2.0], [True, False], ttft=1.0, took=5.0), np.array([0, 1]), 6.5)
    assert rows.outcome.tolist() == [OK, WAITS]
    assert np.isnan(rows.finished).tolist() == [False, True]
    assert rows.first_token.tolist() == [2.0, 3.0]
