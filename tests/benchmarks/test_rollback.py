"""The figures of the rollback benchmark, from made-up logs."""

from typing import Any

import pytest

from benchmarks.rollback import Ended, measured
from benchmarks.rollback_report import Measured, Rollback, quantile, table
from guard.adapters.signals.access_log import LoggedRequest
from guard.demo.machine import DemoError

CANARY, STABLE = (
    "x-svc-inference-chat-canary-0@kubernetesgateway",
    "x-svc-inference-chat-stable-0@kubernetesgateway",
)


def _logged(backend: str, at: float, request_id: str, status: int = 200) -> LoggedRequest:
    return LoggedRequest(backend, "127.0.0.1:8000", status, at, 0.1, request_id)


def _user(request_id: str, outcome: str, status: int | None) -> dict[str, Any]:
    return {"id": request_id, "outcome": outcome, "status": status, "started_at": 0.0}


def _status(**changes: Any) -> dict[str, Any]:
    decision = {"sampleAt": "1970-01-01T00:00:11.000000Z"}
    rollback = {"patchedAt": "1970-01-01T00:00:11.100000Z"}
    return {"reason": "RolledBack", "decision": decision, "rollback": rollback} | changes


ENDED = Ended("r", fault_at=10.0, ended_at=16.0, status=_status())


def test_times_end_with_the_last_new_request_of_the_canary_in_that_rollback() -> None:
    logged = [
        _logged(CANARY, 9.0, "a"),
        _logged(CANARY, 11.25, "b"),
        _logged(STABLE, 12.0, "c"),
        _logged(CANARY, 17.0, "of the next one"),
    ]
    (found,) = measured([ENDED], logged, []).rollbacks
    assert (found.from_fault, found.from_sample, round(found.from_patch, 6)) == (1.25, 0.25, 0.15)


def test_a_last_request_before_the_patch_counts_as_none_after_it() -> None:
    (found,) = measured([ENDED], [_logged(CANARY, 10.5, "a")], []).rollbacks
    assert (found.from_fault, found.from_sample, found.from_patch) == (0.5, 0.0, 0.0)


def test_only_the_canarys_own_500_is_the_faults() -> None:
    logged = [
        _logged(CANARY, 10.5, "by fault", 500),
        _logged(CANARY, 10.6, "by the gateway", 502),
        _logged(STABLE, 10.7, "stable", 500),
        _logged(CANARY, 10.8, "cut", 200),
    ]
    users = [
        _user("fine", "ok", 200),
        _user("by fault", "error", 500),
        _user("by the gateway", "error", 502),
        _user("stable", "error", 500),
        _user("cut", "truncated", 200),
        _user("refused", "refused", None),
    ]
    found = measured([ENDED], logged, users)
    assert (found.requests, found.failed_by_fault, found.failed_by_us) == (6, 1, 4)


def test_a_change_that_was_not_rolled_back_is_no_measurement() -> None:
    promoted = Ended("r", 10.0, 16.0, _status(reason="Promoted"))
    with pytest.raises(DemoError, match="ended as Promoted"):
        measured([promoted], [_logged(CANARY, 10.5, "a")], [])


@pytest.mark.parametrize(("q", "expected"), [(0.5, 2.0), (0.99, 4.0), (0.25, 1.0), (1.0, 4.0)])
def test_a_quantile_is_one_of_the_values(q: float, expected: float) -> None:
    assert quantile([4.0, 1.0, 3.0, 2.0], q) == expected


def test_the_table_has_a_row_for_each_api() -> None:
    found = Measured((Rollback(2.0, 0.2, 0.1, 0.1),), requests=9, failed_by_fault=3, failed_by_us=0)
    text = table({"fake": found, "real": found})
    assert "| real | the deciding sample | 0.200 | 0.200 | 0.200 | 0.200 |" in text
    assert "| fake | 1 | 9 | 3 | 0 |" in text
