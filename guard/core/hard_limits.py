"""The limits that need no statistics: a canary that is dead, restarts, or is not what was approved.

Owns DESIGN 5.1, in its form for single requests and in its form for counters. Refuses to weigh evidence:
that is `error_evidence`. Each source is judged on its own; the baseline's health is read from the same
source, and where that is silent (a canary at 100 %, say) from another that sees the baseline now, because
the question is then only whether the platform is alive. A baseline that nobody sees: INCONCLUSIVE.

One condition more than the design's: the baseline's own long-run ratio must not explain what was seen
(exact binomial p <= 1e-5). Where every tenth request of both arms fails, five bad of ten within 20 s
happened by chance in 6 % of simulated good rollouts of five minutes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from guard.core.binomial import binomial_upper_tail
from guard.core.blocks import CounterBlock, PodEvent, is_client_error
from guard.core.check import Check
from guard.core.samples import Arm, Outcome, RequestSample, Source
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
MEMORY_SECONDS = 300.0
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


@dataclass
class Tally:
    """Sums over results."""

    requests: int = 0
    bad: int = 0
    client_errors: int = 0

    def add(self, result: Result) -> None:
        self.requests += result.requests
        self.bad += result.bad
        self.client_errors += result.client_errors


class HardLimits:
    """Collects results and pod events; `judge` looks at the last 20 s, the last run of errors, the step."""

    def __init__(self) -> None:
        self._results: list[Result] = []
        self._stable: dict[Source, Tally] = {}
        self._events: Counter[str] = Counter()
        self._permanent: list[str] = []

    def start_step(self) -> None:
        """Restarts and OOM kills count per step; a wrong fingerprint and a policy bypass stay."""
        self._events.clear()

    def add(self, result: Result) -> None:
        self._results.append(result)
        if result.arm is Arm.BASELINE:
            self._stable.setdefault(result.source, Tally()).add(result)

    def add_event(self, event: PodEvent) -> None:
        if event.arm is not Arm.CANARY:
            return
        if event.kind in ("fingerprint", "policy_bypass"):
            self._permanent.append(f"{event.kind}: {event.detail}")
        else:
            self._events[event.kind] += 1

    def judge(self, now: float) -> Check:
        """FAIL, or INCONCLUSIVE when the canary's errors have no healthy baseline beside them, or PASS."""
        self._results = [r for r in self._results if r.at > now - MEMORY_SECONDS]
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
        recent = [r for r in self._results if r.at > now - WINDOW_SECONDS]
        sources = {r.source for r in self._results if r.arm is Arm.CANARY}
        checks = [self._by_share(source, recent) for source in sorted(sources)]
        checks += [self._by_run(source) for source in sorted(sources)]
        reached = [check for check in checks if check is not None]
        reached.sort(key=lambda check: check.verdict is not Verdict.FAIL)
        if reached:
            return reached[0]
        seen = _sum(r for r in recent if r.arm is Arm.CANARY)
        bad = seen.bad + seen.client_errors
        check = Check(
            "hard-limits",
            Verdict.PASS,
            f"none reached ({seen.requests} canary requests in the last {WINDOW_SECONDS:.0f} s)",
            "hard_limit",
            value=bad / seen.requests if seen.requests else None,
            limit=BAD_RATIO,
            unit="ratio",
            samples=seen.requests,
            window_seconds=WINDOW_SECONDS,
        )
        return check.as_undecided() if bad and bad >= BAD_RATIO * seen.requests else check

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

    def _by_share(self, source: Source, recent: Iterable[Result]) -> Check | None:
        """At least 5 bad and half of the requests bad in the last 20 s."""
        recent = list(recent)
        tally = _sum(r for r in recent if r.source is source and r.arm is Arm.CANARY)
        if tally.bad + tally.client_errors < MIN_BAD:
            return None
        # 4xx counts by its excess over the stable's ratio
        bad = tally.bad + max(0.0, tally.client_errors - self._client_ratio(source) * tally.requests)
        if bad < MIN_BAD or bad < BAD_RATIO * tally.requests:
            return None
        if self._by_chance(source, tally.bad + tally.client_errors, tally.requests):
            return None
        what = f"{bad:.0f} of {tally.requests} canary requests bad in {WINDOW_SECONDS:.0f} s"
        return self._against_baseline(source, recent, what, bad / tally.requests, tally.requests)

    def _by_run(self, source: Source) -> Check | None:
        """Five bad requests in a row, spanning 10 s; only where requests are seen one by one."""
        run: list[Result] = []
        mine = [r for r in self._results if r.single and r.source is source and r.arm is Arm.CANARY]
        if not mine:
            return None
        shared = self._client_ratio(source) > BASELINE_BAD_RATIO
        for result in sorted(mine, key=lambda r: r.at, reverse=True):
            if result.client_errors and shared:
                continue  # the stable refuses such requests, too: neither good nor bad
            if not (result.bad or result.client_errors):
                break
            run.append(result)
        if len(run) < MIN_BAD or run[0].at - run[-1].at < RUN_SECONDS:
            return None
        if self._by_chance(source, len(run), len(run)):
            return None
        beside = [r for r in self._results if r.at >= run[-1].at - RUN_SECONDS]
        span = run[0].at - run[-1].at
        return self._against_baseline(
            source, beside, f"{len(run)} bad in a row over {span:.0f} s", 1.0, len(run)
        )

    def _against_baseline(
        self, source: Source, results: Iterable[Result], what: str, ratio: float, samples: int
    ) -> Check:
        seen = [r for r in results if r.arm is Arm.BASELINE]
        same = [r for r in seen if r.source is source]
        tally = _sum(same or seen)
        healthy = tally.bad + tally.client_errors <= BASELINE_BAD_RATIO * tally.requests
        if same and self._client_ratio(source) > 0:
            healthy = tally.bad <= BASELINE_BAD_RATIO * tally.requests
        if tally.requests < MIN_BASELINE:
            verdict, why = Verdict.INCONCLUSIVE, "the baseline was not seen at that time"
        elif not healthy:
            verdict, why = Verdict.INCONCLUSIVE, "the baseline fails as well: the platform, not the change"
        else:
            verdict, why = Verdict.FAIL, f"baseline {tally.bad + tally.client_errors} of {tally.requests}"
        return Check(
            "hard-limits",
            verdict,
            f"{what} ({source}), limit {MIN_BAD} and {BAD_RATIO:.0%}: {why}",
            "hard_limit",
            value=ratio,
            limit=BAD_RATIO,
            baseline_value=(tally.bad + tally.client_errors) / tally.requests if tally.requests else None,
            unit="ratio",
            samples=samples,
            window_seconds=WINDOW_SECONDS,
            detail={"source": str(source), "baseline_from": sorted({str(r.source) for r in same or seen})},
        )

    def _by_chance(self, source: Source, bad: int, requests: int) -> bool:
        stable = self._stable.get(source, Tally())
        # Not 0 after a few good answers.
        ratio = (stable.bad + stable.client_errors + 1) / (stable.requests + 10)
        return binomial_upper_tail(bad, requests, min(1.0, ratio)) > CHANCE_P

    def _client_ratio(self, source: Source) -> float:
        """The stable's share of 4xx: of the last minutes where it has traffic, else of all that was seen.

        1 while it is not known: then no 4xx of the canary is an excess yet.
        """
        recent = _sum(r for r in self._results if r.source is source and r.arm is Arm.BASELINE)
        known = self._stable.get(source, Tally())
        tally = recent if recent.requests >= MIN_STABLE_REQUESTS else known
        if tally.requests < MIN_STABLE_REQUESTS:
            return 1.0
        return tally.client_errors / tally.requests

    def state(self) -> dict[str, Any]:
        return {
            "results": [asdict(r) for r in self._results],
            "stable": {str(source): asdict(tally) for source, tally in self._stable.items()},
            "events": dict(self._events),
            "permanent": self._permanent,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        for row in state["results"]:
            self._results.append(Result(**{**row, "source": Source(row["source"]), "arm": Arm(row["arm"])}))
        self._stable = {Source(source): Tally(**tally) for source, tally in state["stable"].items()}
        self._events = Counter(state["events"])
        self._permanent = list(state["permanent"])
        return self


def _sum(results: Iterable[Result]) -> Tally:
    tally = Tally()
    for result in results:
        tally.add(result)
    return tally
