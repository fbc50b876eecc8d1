"""Rollouts by hand: requests as (sent, first token, finished, bad) of the canary and of the baseline."""

from collections.abc import Sequence

import numpy as np

from benchmarks.decisions.rollout import ERROR, OK, Evals, Requests, Rollout, Step

Row = tuple[float, float | None, float, bool]


def rollout(canary: Sequence[Row], baseline: Sequence[Row] = ()) -> Rollout:
    """One canary and one baseline replica, two steps of 900 s."""
    rows = [(*row, True) for row in canary] + [(*row, False) for row in baseline]
    rows.sort(key=lambda row: row[0])
    count = len(rows)
    zeros, none = np.zeros(count, np.int64), np.full(count, -1, np.int64)
    arm = np.array([row[4] for row in rows], np.bool_)
    requests = Requests(
        source=np.zeros(count, np.int32),
        pair=none,
        canary=arm,
        replica=np.where(arm, 0, 1).astype(np.int32),
        weight_percent=np.full(count, 5, np.int32),
        sent_at=np.array([row[0] for row in rows], np.float64),
        first_token_at=np.array([np.nan if row[1] is None else row[1] for row in rows], np.float64),
        itl_mean=0.02 + 0.002 * np.sin(11 * np.arange(count)),
        finished_at=np.array([row[2] for row in rows], np.float64),
        outcome=np.array([ERROR if row[3] else OK for row in rows], np.int32),
        prompt_tokens=zeros,
        cached_tokens=zeros,
        output_tokens=zeros,
    )
    nothing = np.zeros(0, np.bool_)
    steps = (Step(0.0, 5, 1, 1), Step(900.0, 25, 1, 1))
    names = ("canary-0", "baseline-1")
    return Rollout(steps, 1800.0, -600.0, names, requests, Evals(np.zeros(0), nothing, nothing), ())


def every(
    seconds: float, start: float, end: float, ttft: float = 0.3, bad: Sequence[float] = ()
) -> list[Row]:
    """Requests at a fixed pace; those sent in [moment, moment + seconds) of a `bad` moment fail."""
    return [
        (
            at,
            at + ttft * (1 + 0.1 * float(np.sin(at * at))),
            at + 2.0,
            any(moment <= at < moment + seconds for moment in bad),
        )
        for at in np.arange(start, end, seconds).tolist()
    ]
