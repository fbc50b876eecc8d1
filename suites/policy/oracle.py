"""Did an attempt get past? Judged by what happened, never by what the gateway said.

Held is: the executor did not run, the backends' state is the same, and exactly one deny record and one alert
carry the attempt's request id. Anything else in its favour (a polite 403) counts for nothing. An attempt that
only reads may also run, as long as nothing changes.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from guard.adapters.policy.gateway import Mark, PolicyGateway
from guard.core.check import Check
from guard.core.verdict import Verdict
from guard.errors import TidegateError
from suites.policy.bench import Attempt, Bench

SIGNAL = "policy"
LATE_SECONDS = 1.0
_NOT_ALONE = "the gateway was used or restarted by somebody else: the suite needs it alone"
_POLL_SECONDS = 0.05
_NAMED = 3  # faults that stand in the reason; all are in the detail


@dataclass(frozen=True)
class Found:
    """How one attempt ended: what is wrong, empty where it was held."""

    attempt: str
    faults: tuple[str, ...]
    passed: bool  # something ran or changed, as opposed to a refusal that was not written down

    def to_json(self) -> dict[str, object]:
        return {"attempt": self.attempt, "held": not self.faults, "faults": list(self.faults)}


def watch(attempt: Attempt, bench: Bench, settle_seconds: float) -> Found:
    """Make the attempt and look.

    Raises:
        TidegateError: The gateway broke and nothing shows that the attempt got past; or somebody else used
            the gateway at the same time.
    """
    steps = attempt.steps(bench)
    next(steps)
    before = bench.gateway.mark()
    broken = None
    try:
        next(steps, None)
    except TidegateError as error:
        broken = error
    after = bench.gateway.mark()
    may_run = bench.requests if attempt.reads else bench.good
    found = Found(attempt.name, *_faults(bench, may_run, before, after, 0.0 if broken else settle_seconds))
    if broken is not None and not found.passed:
        raise broken
    if not found.passed:
        found = _with_late(found, bench.gateway, after)
    next(steps, None)
    return found


def watch_end(gateway: PolicyGateway, last: str) -> Found | None:
    """A second look, `LATE_SECONDS` after a class's last attempt; None where nothing happened meanwhile.

    A gateway may refuse and run all the same, a moment later.
    """
    before = gateway.mark()
    time.sleep(LATE_SECONDS)
    found = _with_late(Found(f"after {last}", (), False), gateway, before)
    return found if found.faults else None


def _with_late(found: Found, gateway: PolicyGateway, before: Mark) -> Found:
    """With what happened since the mark, though nothing was asked for any more."""
    after = gateway.mark()
    faults = {
        f"the executor ran {after.runs - before.runs} times after the answer": after.runs != before.runs,
        "the backend's state changed after the answer": after.state != before.state,
    }
    late = tuple(fault for fault, is_so in faults.items() if is_so)
    if late and any(record.kind == "allow" for record in gateway.records(before)):
        raise TidegateError(_NOT_ALONE)
    return replace(found, faults=found.faults + late, passed=found.passed or bool(late))


def _faults(
    bench: Bench, may_run: int, before: Mark, after: Mark, settle_seconds: float
) -> tuple[tuple[str, ...], bool]:
    runs = after.runs - before.runs
    changed = before.state != after.state and not bench.good
    passed = runs > may_run or changed
    expected = bench.requests - min(max(runs, 0), may_run)
    denies, alerts, foreign = _counted(bench, before, expected, 0.0 if passed else settle_seconds)
    if foreign or runs < 0:
        raise TidegateError(_NOT_ALONE)
    faults = {
        f"the executor ran {runs} times, at most {may_run} expected": runs > may_run,
        "the backend's state changed": changed,
        f"{denies} deny records, {expected} expected": denies != expected,
        f"{alerts} alerts, {expected} expected": alerts != expected,
    }
    return tuple(fault for fault, is_so in faults.items() if is_so), passed


def _counted(bench: Bench, before: Mark, expected: int, settle_seconds: float) -> tuple[int, int, int]:
    """Deny records and alerts of the attempt, and records of calls that nobody here made.

    An alert may come a moment after the refusal, so a missing one is waited for.
    """
    deadline = time.monotonic() + settle_seconds
    while True:
        records = bench.gateway.records(before)
        denies = sum(r.kind == "deny" and r.request_id == bench.request_id for r in records)
        alerts = sum(request_id == bench.request_id for request_id in bench.gateway.alerts(before))
        if (denies >= expected and alerts >= expected) or time.monotonic() >= deadline:
            foreign = sum(r.kind == "allow" and r.request_id != bench.request_id for r in records)
            return denies, alerts, foreign
        time.sleep(_POLL_SECONDS)


def judge_class(name: str, found: Iterable[Found], seconds: float, left_out: Iterable[str] = ()) -> Check:
    """One check for a class of attempts, made in so many seconds: the value is how many were not held."""
    rows = list(found)
    bad = [row for row in rows if row.faults]
    detail = {"attempts": [row.to_json() for row in rows], "left_out": list(left_out)}
    if not rows:
        return Check(name, Verdict.NO_DATA, "no attempt could be made", SIGNAL, samples=0, detail=detail)
    if bad:
        said = "; ".join(f"{row.attempt}: {', '.join(row.faults)}" for row in bad[:_NAMED])
        more = f" (and {len(bad) - _NAMED} more)" if len(bad) > _NAMED else ""
        reason = f"{len(bad)} of {len(rows)} attempts were not held: {said}{more}"
    else:
        bound = upper_bound(len(rows))
        detail["rate_upper_bound"] = bound
        reason = f"none of {len(rows)} attempts got past (rate below {100 * bound:.2g} % at 95 %)"
    verdict = Verdict.FAIL if bad else Verdict.PASS
    return Check(
        name,
        verdict,
        reason,
        SIGNAL,
        value=len(bad),
        limit=0,
        unit="count",
        samples=len(rows),
        window_seconds=seconds,
        detail=detail,
    )


def upper_bound(attempts: int) -> float:
    """The rate of success that 0 of n independent attempts rule out at 95 %: 1 - 0.05^(1/n).

    Attempts of a table are not drawn at random; it says how little a few attempts show.
    """
    return 1.0 - float(0.05 ** (1 / attempts))
