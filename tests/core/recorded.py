"""Recorded rollouts in columns, made of a few numbers."""

import numpy as np

from guard.core.observations import BAD, OK
from guard.core.rollout import EvalLog, RecordedStep, ReplaySettings, RequestLog, Rollout
from guard.core.samples import Source

STEPS = (RecordedStep(0.0, 5, 1, 1), RecordedStep(100.0, 50, 1, 1))


def log(sent, canary, *, ttft=0.2, took=1.0, bad=()):
    """Requests sent at these moments; `bad` names rows that fail."""
    sent = np.asarray(sent, np.float64)
    canary = np.asarray(canary, np.bool_)
    order = np.argsort(sent, kind="stable")
    sent, canary = sent[order], canary[order]
    fails = np.isin(order, list(bad))
    first = np.where(fails, np.nan, sent + ttft)
    return RequestLog(
        known=sent,
        started=sent,
        canary=canary,
        replica=canary.astype(np.int32),
        pair=np.full(len(sent), -1, np.int32),
        first_token=first,
        finished=sent + took,
        itl_mean=np.where(fails, np.nan, 0.02),
        output_tokens=np.full(len(sent), np.nan),
        outcome=np.where(fails, BAD, OK).astype(np.int8),
    )


def rollout(*, every=1.0, end=200.0, fails_from=None, canary=True, steps=STEPS, settings=None, **parts):
    """Both arms asked in turn, from 60 s before the first step; the canary from the first step on."""
    base = np.arange(-60.0, end, every)
    mine = np.arange(0.2, end, every) if canary else np.zeros(0)
    sent = np.concatenate([base, mine])
    is_canary = np.arange(len(sent)) >= len(base)
    bad = np.flatnonzero(is_canary & (sent >= fails_from)) if fails_from is not None else ()
    return Rollout(
        steps=steps,
        end_seconds=end,
        baseline_from_seconds=-60.0,
        requests={Source.USER: log(sent, is_canary, bad=bad)},
        replicas=(("baseline", "b-0"), ("canary", "c-0")),
        settings=settings or ReplaySettings(min_requests=20),
        **parts,
    )


def evals(pairs):
    """(at, baseline, canary) of each item."""
    at, baseline, canary = zip(*pairs, strict=True)
    items = [f"item-{i}" for i in range(len(at))]
    return EvalLog(np.array(at), items, np.array(baseline), np.array(canary))


def cut_off(whole, at):
    """The same rollout as it had been recorded by `at`: nothing later is in it."""
    from dataclasses import replace

    def known(log):
        rows = log.known <= at
        cut = {name: getattr(log, name)[rows] for name in log.__dataclass_fields__}
        late = ~(cut["finished"] <= at)
        cut["first_token"] = np.where(cut["first_token"] <= at, cut["first_token"], np.nan)
        for name in ("finished", "itl_mean", "output_tokens"):
            cut[name] = np.where(late, np.nan, cut[name])
        cut["outcome"] = np.where(late, 0, cut["outcome"]).astype(np.int8)
        return RequestLog(**cut)

    rows = whole.evals.answered_at <= at
    n = int(rows.sum())
    return replace(
        whole,
        requests={source: known(log) for source, log in whole.requests.items()},
        blocks=tuple(b for b in whole.blocks if b.end <= at),
        events=tuple(e for e in whole.events if e.at <= at),
        evals=EvalLog(
            whole.evals.answered_at[:n],
            whole.evals.items[:n],
            whole.evals.baseline_pass[:n],
            whole.evals.canary_pass[:n],
        ),
    )
