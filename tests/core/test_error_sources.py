import json

import numpy as np
import pytest

from guard.core.error_evidence import Observed
from guard.core.error_sources import ErrorSources
from guard.core.observations import Marks
from guard.core.samples import Arm, Source

PROBE, USERS = Source.PROBE, Source.ACCESS_LOG


def _marks(at, canary):
    return Marks(np.asarray(at, float), np.full(len(at), canary), np.full(len(at), int(canary), np.int32))


def _tell(sources, source, *, until, canary, since=0.0, every=1.0, bad=0.0, seed=0):
    at = np.arange(since, until, every) + 0.01
    failed = at[np.random.default_rng([seed, canary, source is PROBE]).random(len(at)) < bad]
    sources.add(source, 0.0, _marks(at, canary), _marks(failed, canary), USERS)


def _sources(*, probes=(0.0, 0.0), users=(0.0, 0.0), until=600.0, seed=0, probe=PROBE):
    """Shares of errors of (baseline, canary); users' history is ten minutes, the canary gets 1 of 20."""
    sources = ErrorSources(1800.0)
    _tell(sources, USERS, since=-600.0, until=0.0, canary=False, bad=users[0], seed=seed + 1)
    for canary in (False, True):
        _tell(sources, USERS, until=until, canary=canary, every=20.0 if canary else 1.0, bad=users[canary])
        _tell(sources, probe, until=until, canary=canary, every=2.0, bad=probes[canary], seed=seed)
    return sources


def test_nothing_seen_is_no_evidence():
    assert ErrorSources(1800.0).e_value(100.0) == 1.0
    assert ErrorSources(1800.0).ahead(100.0) == 1.0


def test_probes_and_users_that_the_baseline_answers_alike_are_one_comparison():
    sources = _sources(probes=(0.0, 0.06), users=(0.0, 0.06))
    pooled = sources.e_value(300.0)
    assert pooled > 5 * max(evidence.evidence(300.0) for evidence in sources.apart.values())


def test_probes_that_fail_more_on_both_arms_are_not_held_against_the_canary():
    probes, seeds = (0.05, 0.05), range(12)
    found = [_sources(probes=probes, seed=seed) for seed in seeds]
    assert max(sources.e_value(600.0) for sources in found) < 20
    assert max(sources.ahead(600.0) for sources in found) < 20
    one_pot = [_sources(probes=probes, seed=seed, probe=USERS).e_value(600.0) for seed in seeds]
    assert max(one_pot) > 317  # 111 / .35: would be rolled back


def test_another_source_is_never_pooled():
    sources = _sources(probes=(0.0, 0.06))
    _tell(sources, Source.LOAD, until=300.0, canary=False)
    _tell(sources, Source.LOAD, until=300.0, canary=True)
    both, alone = sources.e_value(300.0), sources.apart[Source.LOAD].evidence(300.0)
    assert both == pytest.approx((_sources(probes=(0.0, 0.06)).e_value(300.0) + alone) / 2)


@pytest.mark.parametrize("counted_first", [True, False])
def test_counters_of_users_requests_are_not_pooled_with_probes(counted_first):
    def count(sources, times):
        for at in times:
            for arm, bad in ((Arm.CANARY, 2), (Arm.BASELINE, 0)):
                sources.observe(USERS, 0.0, Observed(at, arm, str(arm), 4, bad))

    sources = ErrorSources(1800.0)
    if counted_first:
        count(sources, np.arange(5.0, 100.0, 5.0))
    for source in (USERS, PROBE):
        for canary in (False, True):
            _tell(sources, source, until=200.0, canary=canary)
    count(sources, np.arange(105.0, 200.0, 5.0))
    apart = [evidence.evidence(200.0) for evidence in sources.apart.values()]
    assert sources.e_value(200.0) == sum(apart) / len(apart) > 100


def test_the_pool_does_not_depend_on_which_source_came_first():
    found = []
    for order in ((PROBE, USERS), (USERS, PROBE)):
        sources = ErrorSources(1800.0)
        for source in order:
            for canary in (False, True):
                _tell(sources, source, until=200.0, canary=canary, bad=0.1 * canary)
        found.append(sources.e_value(200.0))
    assert found[0] == found[1] > 100


def test_resumed_sources_go_on_with_the_same_numbers():
    whole = _sources(probes=(0.0, 0.03), until=200.0)
    whole.e_value(150.0)
    resumed = ErrorSources.from_state(1800.0, json.loads(json.dumps(whole.state(), allow_nan=False)))
    for sources in (whole, resumed):
        _tell(sources, PROBE, since=200.0, until=300.0, canary=True, bad=0.1)
    assert resumed.e_value(300.0) == whole.e_value(300.0)
