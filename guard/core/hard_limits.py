"""The limits that need no statistics: a canary that is dead, restarts, or is not what was approved.

Owns DESIGN 5.1, in its form for single requests and in its form for counters. Refuses to weigh evidence:
that is `error_evidence`. Each source is judged on its own; the baseline's health is read from the same
source, and where that is silent (a canary at 100 %, say) from another that sees the baseline now, because
the question is then only whether the platform is alive. A baseline that nobody sees: INCONCLUSIVE.

One condition more than the design's: the baseline's own long-run ratio must not explain what was seen
(exact binomial p <= 1e-5). Where every tenth request of both arms fails, five bad of ten within 20 s
happened by chance in 6 % of simulated good rollouts of five minutes.

A window is of whole seconds: what is remembered grows with time, never with traffic.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from guard.core.binomial import binomial_upper_tail
from guard.core.blocks import CounterBlock, PodEvent, is_client_error
from guard.core.check import Check
from guard.core.observations import Bools, Marks
from guard.core.recent_results import Tally
from guard.core.samples import Arm, Outcome, RequestSample, Source
from guard.core.source_results import SourceResults
from guard.core.verdict import Verdict

WINDOW_SECONDS = 20.0
MIN_BAD = 5
BAD_RATIO = 0.5
BASELINE_BAD_RATIO = 0.1
RUN_SECONDS = 10.0
MIN_BASELINE = 3  # arbitrary: one lucky answer is no health
MIN_STABLE_REQUESTS = 20  # before its share of 4xx is known; arbitrary
MAX_RESTARTS = 1
CHANCE_P = 1e-5
FIRST_TOKEN_SECONDS = 60.0


@dataclass(frozen=True)
class Result:
    """Some requests that ended together; `bad` without the `client_errors` (4xx)."""

    at: float
    source: Source
    arm: Arm
    requests: int
    bad: int
    client_errors: int
    single: bool

    @classmethod
    def of_sample(cls, sample: RequestSample, at: float) -> Self:
        """A request that ended, or has waited too long, at `at`."""
        client = sample.status is not None and is_client_error(str(sample.status))
        late = sample.ttft_seconds is not None and sample.ttft_seconds > FIRST_TOKEN_SECONDS
        bad = sample.outcome is not Outcome.OK or late
        return cls(at, sample.source, sample.arm, 1, int(bad and not client), int(bad and client), True)

    @classmethod
    def of_block(cls, block: CounterBlock) -> Self:
        bad = block.bad - block.client_errors
        return cls(block.end, block.source, block.arm, block.requests, bad, block.client_errors, False)


class HardLimits:
    """Collects results and pod events; `judge` looks at the last 20 s, the last run of errors, the step."""

    def __init__(self) -> None:
        self._new: dict[Source, list[Result]] = {}
        self._seen: dict[Source, SourceResults] = {}
        self._events: Counter[str] = Counter()
        self._permanent: list[str] = []

    def start_step(self) -> None:
        """Restarts and OOM kills count per step; a wrong fingerprint and a policy bypass stay."""
        self._events.clear()

    def add(self, result: Result) -> None:
        self._new.setdefault(result.source, []).append(result)

    def add_marks(self, source: Source, good: Marks, failures: Marks, client_error: Bools) -> None:
        """Requests seen one by one.

        Args:
            good: When each that ended well did so.
            failures: When each turned bad, and whether by a 4xx.
        """
        at = np.concatenate([good.at, failures.at])
        canary = np.concatenate([good.canary, failures.canary])
        counts = np.zeros((len(at), 3), np.int64)
        counts[:, 0] = 1
        counts[len(good.at) :, 1], counts[len(good.at) :, 2] = ~client_error, client_error
        self._of(source).add(at, canary, counts, single=True)

    def _take_new(self) -> None:
        """What was added one by one, in columns."""
        for source, results in self._new.items():
            for single in (True, False):
                rows = [r for r in results if r.single is single]
                at = np.array([r.at for r in rows], np.float64)
                canary = np.array([r.arm is Arm.CANARY for r in rows], np.bool_)
                counts = np.array([(r.requests, r.bad, r.client_errors) for r in rows], np.int64)
                self._of(source).add(at, canary, counts.reshape(-1, 3), single)
        self._new = {}

    def _of(self, source: Source) -> SourceResults:
        return self._seen.setdefault(source, SourceResults())

    def add_event(self, event: PodEvent) -> None:
        if event.arm is not Arm.CANARY:
            return
        if event.kind in ("fingerprint", "policy_bypass"):
            self._permanent.append(f"{event.kind}: {event.detail}")
        else:
            self._events[event.kind] += 1

    def judge(self, now: float, answering: Mapping[Source, int] | None = None) -> Check:
        """FAIL, or INCONCLUSIVE when the canary's errors have no healthy baseline beside them, or PASS.

        Args:
            answering: The canary's requests, by source, that have a first token and no end. Errors end sooner
                than answers, so a share of those that ended overstates them.
        """
        answering = answering or {}
        self._take_new()
        for seen in self._seen.values():
            seen.recent.forget(now)
        if found := self._by_events():
            reason, count, limit = found
            return Check(
                "hard-limits",
                Verdict.FAIL,
                reason,
                "hard_limit",
                value=count,
                limit=limit,
                unit="count",
                samples=count,
                detail={"events": dict(self._events)},
            )
        reached = [
            check
            for source in sorted(self._seen)
            if (check := self._by_share(source, now, answering.get(source, 0)))
        ]
        reached += [check for source in sorted(self._seen) if (check := self._by_run(source, now))]
        reached.sort(key=lambda check: check.verdict is not Verdict.FAIL)
        if reached:
            return reached[0]
        recent = sum((self._last(source, now) for source in self._seen), Tally())
        check = Check(
            "hard-limits",
            Verdict.PASS,
            f"none reached ({recent.requests} canary requests in the last {WINDOW_SECONDS:.0f} s)",
            "hard_limit",
            value=recent.all_bad / recent.requests if recent.requests else None,
            limit=BAD_RATIO,
            unit="ratio",
            samples=recent.requests,
            window_seconds=WINDOW_SECONDS,
        )
        return check.as_undecided() if 0 < BAD_RATIO * recent.requests <= recent.all_bad else check

    def _last(self, source: Source, now: float) -> Tally:
        """The canary's last 20 s; a result from farther ahead than that is a clock's error."""
        recent = self._seen[source].recent
        return recent.tally(Arm.CANARY, now - WINDOW_SECONDS, now + WINDOW_SECONDS)

    def _by_events(self) -> tuple[str, int, int] | None:
        """Why, how often, how often it may be."""
        if self._permanent:
            return self._permanent[0], len(self._permanent), 0
        killed, restarts = self._events["oom"], self._events["restart"]
        if killed:
            return f"{killed} canary container(s) killed for memory in this step, 0 allowed", killed, 0
        if restarts > MAX_RESTARTS:
            reason = f"{restarts} canary restarts in this step, {MAX_RESTARTS} allowed"
            return reason, restarts, MAX_RESTARTS
        return None

    def _by_share(self, source: Source, now: float, answering: int) -> Check | None:
        """At least 5 bad and half of the requests bad in the last 20 s."""
        tally = self._last(source, now)
        if tally.all_bad < MIN_BAD:
            return None
        # 4xx counts by its excess over the stable's ratio
        bad = tally.bad + max(0.0, tally.client_errors - self._client_ratio(source) * tally.requests)
        if bad < MIN_BAD or bad < BAD_RATIO * (tally.requests + answering):
            return None
        if self._by_chance(source, tally.all_bad, tally.requests):
            return None
        what = f"{bad:.0f} of {tally.requests} canary requests bad in {WINDOW_SECONDS:.0f} s"
        since = now - WINDOW_SECONDS
        return self._against_baseline(source, since, what, bad / tally.requests, tally.requests)

    def _by_run(self, source: Source, now: float) -> Check | None:
        """Five bad requests in a row, spanning 10 s; only where requests are seen one by one."""
        seen = self._seen[source]
        # Where the stable refuses such requests, too, a 4xx is neither good nor bad.
        shared = self._client_ratio(source) > BASELINE_BAD_RATIO
        run = (seen.run_without_client_errors if shared else seen.run).now(now)
        if run is None or run.requests < MIN_BAD or run.last - run.first < RUN_SECONDS:
            return None
        if self._by_chance(source, run.requests, run.requests):
            return None
        what = f"{run.requests} bad in a row over {run.last - run.first:.0f} s"
        return self._against_baseline(source, run.first - RUN_SECONDS, what, 1.0, run.requests)

    def _against_baseline(self, source: Source, since: float, what: str, ratio: float, samples: int) -> Check:
        everyone = {s: seen.recent.tally(Arm.BASELINE, since) for s, seen in self._seen.items()}
        same = everyone[source].requests > 0
        beside = {s: t for s, t in everyone.items() if t.requests and (s is source or not same)}
        tally = sum(beside.values(), Tally())
        healthy = tally.all_bad <= BASELINE_BAD_RATIO * tally.requests
        if same and self._client_ratio(source) > 0:
            healthy = tally.bad <= BASELINE_BAD_RATIO * tally.requests
        if tally.requests < MIN_BASELINE:
            verdict, why = Verdict.INCONCLUSIVE, "the baseline was not seen at that time"
        elif not healthy:
            verdict, why = Verdict.INCONCLUSIVE, "the baseline fails as well: the platform, not the change"
        else:
            verdict, why = Verdict.FAIL, f"baseline {tally.all_bad} of {tally.requests}"
        return Check(
            "hard-limits",
            verdict,
            f"{what} ({source}), limit {MIN_BAD} and {BAD_RATIO:.0%}: {why}",
            "hard_limit",
            value=ratio,
            limit=BAD_RATIO,
            baseline_value=tally.all_bad / tally.requests if tally.requests else None,
            unit="ratio",
            samples=samples,
            window_seconds=WINDOW_SECONDS,
            detail={"source": str(source), "baseline_from": sorted(map(str, beside))},
        )

    def _by_chance(self, source: Source, bad: int, requests: int) -> bool:
        stable = self._seen[source].stable
        # Not 0 after a few good answers.
        ratio = (stable.all_bad + 1) / (stable.requests + 10)
        return binomial_upper_tail(bad, requests, min(1.0, ratio)) > CHANCE_P

    def _client_ratio(self, source: Source) -> float:
        """The stable's share of 4xx: of the last minutes where it has traffic, else of all that was seen.

        1 while it is not known: then no 4xx of the canary is an excess yet.
        """
        seen = self._seen[source]
        recent = seen.recent.tally(Arm.BASELINE)
        tally = recent if recent.requests >= MIN_STABLE_REQUESTS else seen.stable
        if tally.requests < MIN_STABLE_REQUESTS:
            return 1.0
        return tally.client_errors / tally.requests

    def state(self) -> dict[str, Any]:
        self._take_new()
        return {
            "seen": {str(source): seen.state() for source, seen in self._seen.items()},
            "events": dict(self._events),
            "permanent": self._permanent,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self._seen = {
            Source(source): SourceResults.from_state(seen) for source, seen in state["seen"].items()
        }
        self._events = Counter(state["events"])
        self._permanent = list(state["permanent"])
        return self
