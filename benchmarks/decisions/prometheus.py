"""What Prometheus would answer about an arm at a moment: ratios and quantiles over the seconds before.

Owns counters and histograms as a gateway and vLLM expose them: a request counts when it ends, its TTFT when
its first token comes, its mean gap when it ends. Refuses to judge. Every replica of an arm together.
"""

import numpy as np

from benchmarks.decisions.rollout import OK, Floats, Rollout

# vLLM 0.32's edges of time_to_first_token_seconds.
TTFT_EDGES = np.append(
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0],
    [20.0, 40.0, 80.0, 160.0, 640.0, 2560.0],
)


class Arm:
    """One arm's series. Windows are (end - seconds, end]; one without a request has no value (nan)."""

    def __init__(self, rollout: Rollout, canary: bool) -> None:
        requests = rollout.requests
        mine = requests.canary == canary
        ends = requests.finished_at[mine]
        order = np.argsort(ends, kind="stable")
        self._ended = ends[order]
        self._bad = _sums((requests.outcome[mine] != OK)[order].astype(np.float64))
        gaps = requests.itl_mean[mine][order]
        self._gaps, self._gap_count = _sums(np.nan_to_num(gaps)), _sums((~np.isnan(gaps)).astype(np.float64))
        first = requests.first_token_at[mine]
        seen = np.flatnonzero(~np.isnan(first))
        seen = seen[np.argsort(first[seen], kind="stable")]
        self._first = first[seen]
        self._ttft = first[seen] - requests.sent_at[mine][seen]
        self._ttft_sum = _sums(self._ttft)

    def error_ratio(self, ends: Floats, seconds: float) -> Floats:
        """Requests that ended badly, of those that ended."""
        low, high = np.searchsorted(self._ended, [ends - seconds, ends], side="right")
        return _ratio(self._bad[high] - self._bad[low], (high - low).astype(np.float64))

    def itl_mean(self, ends: Floats, seconds: float) -> Floats:
        """Mean gap between tokens, a request one value, in seconds."""
        low, high = np.searchsorted(self._ended, [ends - seconds, ends], side="right")
        return _ratio(self._gaps[high] - self._gaps[low], self._gap_count[high] - self._gap_count[low])

    def ttft_mean(self, ends: Floats, seconds: float) -> Floats:
        """Mean time to first token, in seconds."""
        low, high = np.searchsorted(self._first, [ends - seconds, ends], side="right")
        return _ratio(self._ttft_sum[high] - self._ttft_sum[low], (high - low).astype(np.float64))

    def ttft_quantile(self, q: float, end: float, seconds: float) -> float:
        """histogram_quantile(q, ...) on vLLM's buckets, in seconds."""
        low, high = np.searchsorted(self._first, [end - seconds, end], side="right")
        return histogram_quantile(q, self._ttft[low:high], TTFT_EDGES)

    @property
    def begins(self) -> float:
        """When the first request ended: before, there is no series, and a query answers with nothing."""
        return float(self._ended[0]) if len(self._ended) else np.inf


def histogram_quantile(q: float, values: Floats, edges: Floats) -> float:
    """Linear inside the bucket that holds the quantile; the last edge for values above it; nan for none.

    Source: Prometheus, promql/quantile.go, bucketQuantile.
    """
    if not len(values):
        return np.nan
    cumulative = np.searchsorted(np.sort(values), edges, side="right")
    rank = q * len(values)
    bucket = int(np.searchsorted(cumulative, rank, side="left"))
    if bucket >= len(edges):
        return float(edges[-1])
    below, start = (cumulative[bucket - 1], edges[bucket - 1]) if bucket else (0, 0.0)
    return float(start + (edges[bucket] - start) * (rank - below) / (cumulative[bucket] - below))


def _ratio(above: Floats, below: Floats) -> Floats:
    ratio: Floats = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return ratio


def _sums(values: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(values)])


def usual_ttft_p99(rollout: Rollout) -> float:
    """The baseline's p99 before the rollout, in seconds: what an operator sets a limit by; nan for none."""
    return Arm(rollout, canary=False).ttft_quantile(0.99, 0.0, -rollout.baseline_from_seconds)
