"""How fast, and how often not at all, under load: both arms in one run, by objectives and by comparison.

One test, because there is one load: it is sent once a session, under `-n` as well, and every check is about
the same requests. They are all in requests.parquet beside the result.
"""

import time
from pathlib import Path

from guard.adapters.requests_file import write_requests
from guard.api.fields import seconds
from guard.api.suites import LoadSuite, Objective, latency_limits, to_core
from guard.core.check import Check
from guard.core.comparison import compare_errors, compare_latency
from guard.core.latency import summarise
from guard.core.load_checks import judge_answers, judge_client
from guard.core.objectives import judge_objective
from guard.core.samples import Arm, RequestSample
from guard.core.verdict import Verdict
from guard.errors import ConfigurationError
from guard.load.plan import LoadPlan
from guard.load.run import LoadInterrupted, LoadResult, run_load
from suites.arms import Target
from suites.judge import Judge
from suites.options import RunOptions

# The worker's start, and what is left to do after the load, within the suite's own timeout.
OVERHEAD_SECONDS = 20.0
FILE = "requests.parquet"


def test_load(
    candidate: Target,
    baseline: Target | None,
    settings: LoadSuite,
    run_options: RunOptions,
    out_dir: Path,
    judge: Judge,
) -> None:
    """TTFT, ITL and errors under the same load on both arms."""
    result = _measure(plan_of(settings), candidate, baseline, out_dir / FILE)
    judge.file("requests", out_dir / FILE)
    if result.error is not None:
        judge(Check("load-worker", Verdict.ERROR, result.error))
    canary = result.arm(Arm.CANARY)
    other = None if baseline is None else result.arm(Arm.BASELINE)
    wanted = run_options.config.objectives
    judge(judge_client(result.samples))
    judge(_answers(canary, other, wanted, settings.min_requests))
    for objective in wanted:
        judge(
            judge_objective(
                to_core(objective),
                canary=canary,
                baseline=other,
                min_requests=settings.min_requests,
                now=time.monotonic(),  # the samples' clock: one that still waits may be over the limit
            )
        )
    for signal in ("ttft", "itl"):
        judge(compare_latency(canary, other, signal=signal, min_requests=settings.min_requests))
    judge(compare_errors(canary, other, min_requests=settings.min_requests))


def plan_of(settings: LoadSuite) -> LoadPlan:
    """The suite's settings as a plan.

    Raises:
        ConfigurationError: No load can be made of them, or it would not end within the suite's timeout.
    """
    duration, timeout = seconds(settings.duration), seconds(settings.timeout)
    if duration + OVERHEAD_SECONDS > timeout:
        raise ConfigurationError(
            f"load: timeout {settings.timeout} leaves no time for {settings.duration} of load"
            f" and {OVERHEAD_SECONDS:g} s around it"
        )
    return LoadPlan(
        settings.arrivals,
        duration,
        rate=float(settings.rate),
        max_tokens=settings.max_tokens,
        prompt_words=settings.prompt_words,
        seed=settings.seed,
        timeout_seconds=timeout - OVERHEAD_SECONDS,
    )


def _measure(plan: LoadPlan, candidate: Target, baseline: Target | None, file: Path) -> LoadResult:
    endpoint = candidate.endpoint
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        result = run_load(
            plan,
            candidate=endpoint.url,
            baseline=baseline.endpoint.url if baseline else None,
            model=candidate.model,
            api_key=endpoint.api_key,
            ca_file=endpoint.ca_file,
        )
    except LoadInterrupted as interrupt:
        write_requests(file, interrupt.result.samples, interrupt.result.metadata)
        raise
    write_requests(file, result.samples, result.metadata)
    return result


def _answers(
    canary: list[RequestSample],
    baseline: list[RequestSample] | None,
    wanted: tuple[Objective, ...],
    min_requests: int,
) -> Check:
    limits = latency_limits(wanted)
    summaries = {"canary": summarise(canary, limits).to_json()}
    if baseline is not None:
        summaries["baseline"] = summarise(baseline, limits).to_json()
    return judge_answers(canary, baseline, min_requests=min_requests, detail=summaries)
