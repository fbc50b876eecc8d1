"""Does the canary get the share of requests that the route says? A sequential e-value against "it does".

Owns DESIGN 5.4's sample-ratio check. A share that does not follow the weight means that the route, a client's
stickiness or a log is not what the comparison takes it for: at 10,000 the step is INCONCLUSIVE, never failed.

E is the Beta-binomial mixture of the counts over their likelihood at the nearest share that is still right,
to the power 1/D. The mixture is the sequential test of Lindon and Malek, "Anytime-Valid Inference for
Multinomial Count Data", NeurIPS 2022 (arXiv 2011.03567), made for this purpose; that the denominator may be
the best of many null shares is from Wasserman, Ramdas and Balakrishnan, "Universal inference", PNAS 2020.

Both take requests for independent, and they are not: a client keeps to one arm for a session, and retries in
bursts. D is how much more than binomial the canary's count varies around its own share, over spans of 1, 2,
4 .. bins, the largest of them, each pulled towards 8 (a session of eight requests) as by 8 spans. A session
longer than the step cannot be told from a wrong weight; the prior is what stands against it.

Simulated on fresh seeds, 900 s, 1 and 10 requests a second, weights 5 and 25, right routes that reached
10,000: none of 2,400 (independent requests, bursts of 3, sessions of 5 in 25 s), 2 of 800 (sessions of 10 in
150 s), 8 of 800 (20 in 400 s). A share of 15 % where the route says 25 %, independent requests: at 10 a
second always found, median 315 s; at 4 a second 75 % within 900 s, median 660 s; at 1 a second not within
1,800 s. A prior of 1.5 for D found it in a third of the time, and held 13 to 38 % of good steps at 1 request
a second in long sessions.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from guard.core.check import Check
from guard.core.observations import Floats, Marks
from guard.core.share_bins import Counts, ShareBins
from guard.core.verdict import NotJudged, Verdict

THRESHOLD = 1e4
SETTLE_SECONDS = 30.0  # until every proxy has the new weight; arbitrary
TOLERANCE = 0.1  # of the smaller arm's share; arbitrary: a smaller difference changes no comparison
PRIOR_DISPERSION, PRIOR_SPANS = 8.0, 8.0
MIN_SPANS = 4
NAME = "traffic-share"


class SampleRatio:
    """One source of users' requests; anew at each step."""

    def __init__(self) -> None:
        self._share = 0.0
        self._bins = ShareBins(math.inf)
        self._value: tuple[float, float] = (0.0, 1.0)  # seconds that have been judged, E

    def start_step(self, now: float, weight_percent: float) -> None:
        self._share = weight_percent / 100
        self._bins = ShareBins(now + SETTLE_SECONDS)
        self._value = (0.0, 1.0)

    def add(self, arrivals: Marks) -> None:
        """Requests seen one by one, when each arrived."""
        self.add_counts(arrivals.at, arrivals.canary.astype(np.int64), np.ones(len(arrivals.at), np.int64))

    def add_counts(self, at: Floats, canary: Counts, requests: Counts) -> None:
        """Requests of the canary, and of both arms, that a counter saw by each moment."""
        usable = np.isfinite(at)
        self._bins.add(at[usable], canary[usable], requests[usable])

    def evidence(self, now: float) -> float:
        """The e-value at `now`; 1 where there is no weight to compare with, or nothing seen."""
        counts = self._bins.close(now)
        seconds = len(counts) * self._bins.bin_seconds
        if seconds != self._value[0]:
            self._value = seconds, self._evidence(counts)
        return self._value[1]

    def _evidence(self, counts: Counts) -> float:
        canary, requests = counts.sum(0).tolist()
        if not requests or not 0 < self._share < 1:
            return 1.0
        bet = _log_bet(canary, requests, self._share)
        return math.exp(min(700.0, bet / dispersion(counts) if bet > 0 else bet))

    def check(self, now: float) -> Check:
        """INCONCLUSIVE when the share does not follow the weight; else PASS, or why there is none."""
        evidence, counts = self.evidence(now), self._bins.close(now)
        canary, requests = counts.sum(0).tolist()
        words = f"the route says {100 * self._share:g} %"
        if not requests or not 0 < self._share < 1:
            why = "no request seen since it settled" if not requests else "one arm alone gets requests"
            return Check(NAME, NotJudged.NOT_COMPARED, f"not compared: {words}, {why}", samples=requests)
        mismatch = evidence >= THRESHOLD
        words += f", the canary got {100 * canary / requests:.3g} % of {requests:,} requests"
        return Check(
            NAME,
            Verdict.INCONCLUSIVE if mismatch else Verdict.PASS,
            f"{words}: {'the traffic does not follow the weight' if mismatch else 'no mismatch found'}",
            value=canary / requests,
            limit=self._share,
            unit="ratio",
            samples=requests,
            window_seconds=len(counts) * self._bins.bin_seconds,
            evidence=evidence,
            threshold=THRESHOLD,
        )

    def state(self) -> dict[str, Any]:
        begun = math.isfinite(self._bins.begin)
        return {"share": self._share, "bins": self._bins.state() if begun else None}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self._share = state["share"]
        if state["bins"] is not None:
            self._bins = ShareBins.from_state(state["bins"])
        return self


def _log_bet(canary: int, requests: int, share: float) -> float:
    """Of a Beta prior around `share` that weighs as many requests as hold one of the smaller arm's."""
    smaller = min(share, 1 - share)
    nearest = min(max(canary / requests, share - TOLERANCE * smaller), share + TOLERANCE * smaller)
    a, b, others = share / smaller, (1 - share) / smaller, requests - canary
    mixture = _log_beta(a + canary, b + others) - _log_beta(a, b)
    return mixture - canary * math.log(nearest) - others * math.log(1 - nearest)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def dispersion(counts: Counts) -> float:
    """D: the largest over spans of 1, 2, 4 .. bins, at least 1.

    Args:
        counts: The canary's requests and all requests; shape (bins, 2).
    """
    canary, requests = counts.sum(0).tolist()
    share = min(max(canary / requests, 0.5 / requests), 1 - 0.5 / requests)
    off = np.concatenate([[0.0], np.cumsum(counts[:, 0] - share * counts[:, 1])])
    usual = np.concatenate([[0.0], np.cumsum(share * (1 - share) * counts[:, 1])])
    found, span = 1.0, 1
    while span == 1 or len(counts) >= MIN_SPANS * span:
        squares = np.diff(off[::-span]) ** 2  # the newest spans; a rest of the oldest bins is left out
        spans, variance = len(squares), float(-np.diff(usual[::-span]).sum())
        if variance > 0:
            seen = spans * float(squares.sum()) / variance
            pooled = (seen + PRIOR_SPANS * PRIOR_DISPERSION) / (spans - 1 + PRIOR_SPANS)
            found = max(found, pooled)
        span *= 2
    return found
