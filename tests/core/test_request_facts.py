import json

import numpy as np
import pytest

from guard.core.observations import BAD, CLIENT_ERROR, OK, WAITS, Requests, join
from guard.core.request_columns import Replicas, columns
from guard.core.request_facts import Facts, RequestFacts
from guard.core.samples import Arm, Outcome, RequestSample, Source

NAN = float("nan")


class _Told:
    """Facts, with what they told since it was last asked for."""

    def __init__(self, facts=None):
        self.facts = facts or RequestFacts(0.0)
        self._parts = []

    def __getattr__(self, name):
        return getattr(self.facts, name)

    def add(self, rows):
        self._parts.append(self.facts.add(rows))

    def known(self, now):
        parts, self._parts = [*self._parts, self.facts.expire(now)], []
        both = {
            name: _joined([getattr(part, name) for part in parts])
            for name in ("arrivals", "good", "failures", "ttft", "itl")
        }
        client_error = np.concatenate([part.client_error for part in parts])
        return Facts(**both, client_error=client_error, ended=join([part.ended for part in parts]))


def _joined(parts):
    names = parts[0].__dataclass_fields__
    return type(parts[0])(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _rows(*rows):
    """(id, arm, replica code, started, first token, finished, outcome, ITL)."""
    ids, canary, replica, started, first, finished, outcome, itl = zip(*rows, strict=True)
    return Requests(
        list(ids),
        np.array([arm == "canary" for arm in canary]),
        np.array(replica, np.int32),
        np.array(started, float),
        np.array(first, float),
        np.array(finished, float),
        np.array(itl, float),
        np.full(len(ids), NAN),
        np.array(outcome, np.int8),
    )


def _waits(name, started, arm="canary", replica=0, first=NAN):
    return name, arm, replica, started, first, NAN, WAITS, NAN


def _ended(name, started, first, finished, outcome=OK, arm="canary", replica=0, itl=0.02):
    return name, arm, replica, started, first, finished, outcome, itl


def _with_cap(seconds=1.0):
    """A baseline whose p99 before the rollout makes the cap six times it."""
    facts = _Told()
    history = [
        _ended(f"h{i}", -100.0 + i, -100.0 + i + seconds / 6, -99.0 + i, arm="baseline", replica=9)
        for i in range(20)
    ]
    facts.add(_rows(*history))
    facts.known(0.0)
    return facts


def test_a_request_is_told_of_as_it_goes_and_counts_once():
    facts = _Told()
    facts.add(_rows(_waits("a", 1.0)))
    first = facts.known(1.0)
    facts.add(_rows(_waits("a", 1.0, first=1.5)))
    second = facts.known(2.0)
    facts.add(_rows(_ended("a", 1.0, 1.5, 3.0)))
    third = facts.known(3.0)
    assert [len(f.arrivals.at) for f in (first, second, third)] == [1, 0, 0]
    assert [f.ttft.seconds.tolist() for f in (first, second, third)] == [[], [0.5], []]
    assert [f.itl.seconds.tolist() for f in (first, second, third)] == [[], [], [0.02]]
    assert [len(f.ended) for f in (first, second, third)] == [0, 0, 1]


def test_a_request_that_waits_counts_as_the_cap_when_it_has_waited_so_long_and_not_before():
    facts = _with_cap(1.0)
    cap = facts.cap.seconds
    assert cap == pytest.approx(1.0, rel=0.01)
    facts.add(_rows(_waits("a", 10.0)))
    assert facts.known(10.0 + cap - 0.01).ttft.seconds.tolist() == []
    waited = facts.known(10.0 + cap + 0.01).ttft
    assert (waited.seconds.tolist(), waited.at.tolist()) == ([cap], [10.0 + cap])
    facts.add(_rows(_ended("a", 10.0, 20.0, 21.0)))
    assert facts.known(30.0).ttft.seconds.tolist() == []  # its late first token says nothing more


def test_a_first_token_above_the_cap_counts_as_the_cap_from_the_moment_it_was_reached():
    facts = _with_cap(1.0)
    facts.add(_rows(_ended("a", 10.0, 15.0, 16.0)))
    ttft = facts.known(20.0).ttft
    assert ttft.seconds[0] == facts.cap.seconds
    assert ttft.at[0] == 10.0 + facts.cap.seconds


def test_without_a_first_token_a_request_is_bad_after_60_s_and_its_end_counts_no_more():
    facts = _Told()
    facts.add(_rows(_waits("a", 5.0)))
    assert len(facts.known(64.9).failures.at) == 0
    gone = facts.known(65.1)
    assert (gone.failures.at.tolist(), gone.ended.outcome.tolist()) == ([65.0], [BAD])
    facts.add(_rows(_ended("a", 5.0, NAN, 100.0, BAD)))
    assert len(facts.known(101.0).failures.at) == 0
    assert facts.dropped["twice"] == 1


def test_an_error_is_known_at_its_end_but_not_later_than_60_s():
    facts = _Told()
    facts.add(_rows(_ended("a", 1.0, NAN, 2.0, BAD), _ended("b", 1.0, NAN, 90.0, CLIENT_ERROR)))
    found = facts.known(91.0)
    assert found.failures.at.tolist() == [2.0, 61.0]
    assert found.client_error.tolist() == [False, True]
    assert found.itl.seconds.tolist() == []  # an error's gaps say nothing


def test_a_stream_that_began_after_60_s_is_bad_though_it_ended_well():
    facts = _Told()
    facts.add(_rows(_ended("a", 0.0, 61.0, 62.0)))
    assert facts.known(62.0).failures.at.tolist() == [60.0]


def test_requests_in_flight_are_counted_on_the_replica_at_arrival():
    facts = _Told()
    facts.add(
        _rows(
            _waits("a", 1.0),
            _waits("b", 2.0),
            _ended("c", 3.0, 3.5, 4.0),
            _waits("d", 5.0),
            _waits("other", 5.0, replica=1),
        )
    )
    facts.add(_rows(*(_ended(n, s, 6.0, 7.0, replica=r) for n, s, r in (("a", 1.0, 0), ("d", 5.0, 0)))))
    facts.add(_rows(_ended("b", 2.0, 6.5, 7.0), _ended("other", 5.0, 6.0, 7.0, replica=1)))
    facts.add(_rows(_ended("e", 8.0, 8.5, 9.0)))
    ttft = facts.known(9.0).ttft
    by_at = dict(zip(ttft.at.tolist(), ttft.in_flight.tolist(), strict=True))
    assert by_at == {3.5: 2.0, 6.0: 0.0, 6.5: 1.0, 8.5: 0.0}  # at 6.0: `other`, told last


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (_ended("a", NAN, 1.0, 2.0), "not finite"),
        (_ended("a", 1.0, float("inf"), 2.0), "not finite"),
        (_ended("a", 5.0, 4.0, 6.0), "backwards"),
        (_ended("a", 5.0, 5.5, 5.2), "backwards"),
        (_ended("a", 5.0, 5.5, 6.0, itl=-1.0), "backwards"),
    ],
)
def test_what_cannot_be_is_dropped_and_counted(row, reason):
    facts = _Told()
    facts.add(_rows(row, _ended("good", 1.0, 1.5, 2.0)))
    found = facts.known(10.0)
    assert facts.dropped[reason] == 1
    assert len(found.arrivals.at) == len(found.ttft.at) == len(found.ended) == 1


def test_a_request_told_of_again_after_its_end_counts_once():
    facts = _Told()
    for _ in range(2):
        facts.add(_rows(_ended("a", 1.0, 1.5, 2.0)))
    assert len(facts.known(3.0).ended) == 1
    assert facts.dropped["twice"] == 1


def test_names_of_ended_requests_are_forgotten_after_a_while():
    facts = _Told()
    for minute in range(200):
        at = 60.0 * minute
        facts.add(_rows(*(_ended(f"{minute}-{i}", at, at + 0.1, at + 0.2) for i in range(5))))
        facts.known(at + 1.0)
    names = facts.state()["ended"]
    assert 5 <= sum(len(generation) for generation in names) <= 65


def test_state_goes_on_with_the_same_numbers():
    one = _with_cap()
    one.add(_rows(_waits("a", 1.0), _waits("b", 2.0, replica=3), _ended("c", 1.0, 1.2, 2.0)))
    one.known(2.0)
    other = _Told(RequestFacts.from_state(json.loads(json.dumps(one.state()))))
    last = _rows(_ended("a", 1.0, 2.5, 3.0), _waits("d", 2.6), _ended("c", 1.0, 1.2, 2.0))
    found = []
    for facts in (one, other):
        facts.add(last)
        k = facts.known(70.0)
        found.append(
            [
                k.ttft.seconds.tolist(),
                k.ttft.in_flight.tolist(),
                k.failures.at.tolist(),
                dict(facts.dropped),
                facts.cap.seconds,
                list(k.ended.ids),
            ]
        )
    assert found[0] == found[1]


def test_many_requests_at_once_find_room():
    facts = _Told()
    facts.add(_rows(*(_waits(i, float(i) / 100) for i in range(1000))))
    facts.add(_rows(*(_ended(i, float(i) / 100, 20.0, 21.0) for i in range(1000))))
    found = facts.known(21.0)
    assert (len(found.ended), len(facts.waiting())) == (1000, 0)


def test_samples_become_columns_with_a_code_for_each_replica_of_an_arm():
    replicas = Replicas()
    samples = [
        RequestSample("a", Source.USER, Arm.CANARY, replica="p", sent_at=1.0, outcome=Outcome.OK),
        RequestSample("b", Source.USER, Arm.BASELINE, replica="p", sent_at=1.0, outcome=Outcome.TIMEOUT),
        RequestSample("c", Source.USER, Arm.CANARY, replica="p", scheduled_at=0.5, sent_at=1.0),
        RequestSample("d", Source.USER, Arm.CANARY, sent_at=1.0, outcome=Outcome.ERROR, status=429),
    ]
    rows = columns(samples, replicas)
    assert rows.replica.tolist() == [0, 1, 0, 2]
    assert rows.outcome.tolist() == [OK, BAD, WAITS, CLIENT_ERROR]
    assert rows.started.tolist() == [1.0, 1.0, 0.5, 1.0]
    assert Replicas(replicas.names).code(Arm.BASELINE, "p") == 1


def test_nothing_at_all_is_nothing():
    facts = _Told()
    facts.add(columns([], Replicas()))
    found = facts.known(1.0)
    assert len(found.arrivals.at) == len(found.failures.at) == len(found.ended) == 0
