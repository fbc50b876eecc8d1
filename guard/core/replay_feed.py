"""What a recorded rollout tells a decision at t, in the order of time: nothing that came later.

Owns which rows are news between two ticks, and what of a request is hidden until it happened. Computed once
over sorted columns: a tick costs what is new in it. Refuses to judge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from guard.core.blocks import CounterBlock, PodEvent
from guard.core.comparison import PairedItem
from guard.core.histogram_blocks import HistogramBlock
from guard.core.observations import WAITS, Codes, Floats, Requests
from guard.core.rollout import RequestLog, Rollout
from guard.core.samples import Source

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class News:
    """What became known since the tick before.

    Attributes:
        requests: Of each source those that arrived, answered or ended, as they stand now.
        pair: For each of these requests its `RequestLog.pair`.
    """

    requests: dict[Source, Requests] = field(default_factory=dict)
    pair: dict[Source, Codes] = field(default_factory=dict)
    blocks: tuple[CounterBlock, ...] = ()
    histograms: tuple[HistogramBlock, ...] = ()
    events: tuple[PodEvent, ...] = ()
    items: Sequence[PairedItem] = ()


class Feed:
    """One recorded rollout at the given ticks; iterate once."""

    def __init__(self, rollout: Rollout, ticks: Sequence[float]) -> None:
        self._rollout, self._ticks = rollout, ticks
        self._moments = {source: _Moments(log, ticks) for source, log in rollout.requests.items()}
        self._blocks = _until([block.end for block in rollout.blocks], ticks)
        self._histograms = _until([block.end for block in rollout.histograms], ticks)
        self._events = _until([event.at for event in rollout.events], ticks)
        self._items = _until(rollout.evals.answered_at, ticks)

    def __iter__(self) -> Iterator[News]:
        for index in range(len(self._ticks)):
            yield self._news(index)

    def _news(self, index: int) -> News:
        rollout, now = self._rollout, self._ticks[index]
        rows = {source: moments.rows(index) for source, moments in self._moments.items()}
        rows = {source: found for source, found in rows.items() if len(found)}
        return News(
            {source: as_known(rollout.requests[source], found, now) for source, found in rows.items()},
            {source: rollout.requests[source].pair[found] for source, found in rows.items()},
            rollout.blocks[slice(*_between(self._blocks, index))],
            rollout.histograms[slice(*_between(self._histograms, index))],
            rollout.events[slice(*_between(self._events, index))],
            rollout.evals.pairs(*_between(self._items, index)),
        )


class _Moments:
    """When rows of one source are news: as they are sent, as they answer, and as they end."""

    def __init__(self, log: RequestLog, ticks: Sequence[float]) -> None:
        moments = (log.known, np.fmax(log.first_token, log.known), np.fmax(log.finished, log.known))
        unknown = (log.known, log.first_token, log.finished)
        self._columns = [_sorted(at, known, ticks) for at, known in zip(moments, unknown, strict=True)]

    def rows(self, index: int) -> Rows:
        """In order; each once."""
        parts = [order[slice(*_between(until, index))] for order, until in self._columns]
        found = np.sort(np.concatenate(parts))
        again = np.zeros(len(found), np.bool_)
        again[1:] = found[1:] == found[:-1]
        return found[~again]


def _sorted(at: Floats, known: Floats, ticks: Sequence[float]) -> tuple[Rows, Rows]:
    """Rows in the order in which this became known, and how many of them there are by each tick."""
    at = np.where(np.isnan(known), np.inf, at)
    order = np.argsort(at, kind="stable")
    return order, _until(at[order], ticks)


def _until(at: Floats | Sequence[float], ticks: Sequence[float]) -> Rows:
    return np.searchsorted(np.asarray(at, np.float64), np.asarray(ticks), side="right")


def _between(until: Rows, index: int) -> tuple[int, int]:
    return int(until[index - 1]) if index else 0, int(until[index])


def as_known(log: RequestLog, rows: Rows, now: float) -> Requests:
    """Requests as they stood at `now`: without an answer or an end that came later. Ids are row numbers."""
    first, finished = log.first_token[rows], log.finished[rows]
    with np.errstate(invalid="ignore"):
        waits = ~(finished <= now)
        first = np.where(first <= now, first, np.nan)
    return Requests(
        ids=rows.tolist(),
        canary=log.canary[rows],
        replica=log.replica[rows],
        started=log.started[rows],
        first_token=first,
        finished=np.where(waits, np.nan, finished),
        itl_mean=np.where(waits, np.nan, log.itl_mean[rows]),
        output_tokens=np.where(waits, np.nan, log.output_tokens[rows]),
        outcome=np.where(waits, np.int8(WAITS), log.outcome[rows]),
    )
