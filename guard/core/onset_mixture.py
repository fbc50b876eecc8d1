"""One e-value from bets on every onset: the fault may have begun at any bin, and be of any of several sizes.

Owns DECISION's onset mixture, shared by all signals: E_t = sum over onsets s <= t of pi_s exp(L_t(s)) + the
prior not yet spent, averaged over effect sizes. pi_0, the prior of a fault that was there from the first bin,
is the signal's; the rest is uniform over the other planned bins. A later onset has not bet yet, so its prior
stands at 1, and so does what is left when nothing is planned beyond. A mixture of e-values is an e-value.

Refuses to know what is bet on. Signals whose L grows by addition keep it here (`open`, `add`, `evidence`);
those that compute L anew at every bin (counts, tempered sums) ask `evidence_of` alone.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from guard.core.observations import Floats

MOST_LOG_BET = 700.0  # exp of more is no float


class OnsetMixture:
    """Onsets are bins, from 0; those beyond the planned ones are not bet on.

    Attributes:
        opened: Onsets so far.
    """

    def __init__(self, first_prior: float, planned_bins: int, effects: int = 1) -> None:
        planned = max(1, planned_bins)
        self._prior = np.full(planned, (1 - first_prior) / max(1, planned - 1))
        self._prior[0] = first_prior
        self._spent = np.cumsum(self._prior)
        self._logs = np.zeros((effects, planned))
        self.opened = 0

    @property
    def planned_bins(self) -> int:
        return self._prior.size

    @property
    def log_bets(self) -> Floats:
        """L of every effect and open onset; shape (effects, opened), a view."""
        return self._logs[:, : self.opened]

    def open(self) -> None:
        """A bin begins, and with it an onset."""
        self.opened = min(self.opened + 1, self.planned_bins)

    def add(self, log_bets: Floats) -> None:
        """What this bin adds to L; shape (effects, opened)."""
        self._logs[:, : self.opened] += log_bets

    def evidence(self) -> float:
        """E of what was added; 1 before the first onset."""
        return self.evidence_of(self.log_bets)

    def evidence_of(self, log_bets: Floats) -> float:
        """E of L computed elsewhere.

        Args:
            log_bets: Shape (effects, onsets) or (onsets,), from onset 0 on; finite or infinite. Onsets beyond
                the planned ones are ignored.
        """
        onsets = min(log_bets.shape[-1], self.planned_bins)
        if not onsets:
            return 1.0
        bets: Floats = np.exp(np.minimum(log_bets[..., :onsets], MOST_LOG_BET)) @ self._prior[:onsets]
        return float(bets.sum()) / bets.size + max(0.0, 1.0 - float(self._spent[onsets - 1]))

    @property
    def likeliest(self) -> int:
        """The onset that explains best what was seen, its prior counted in; 0 where none has won anything."""
        if not self.opened:
            return 0
        bets = np.exp(np.minimum(self.log_bets, MOST_LOG_BET)).mean(axis=0) * self._prior[: self.opened]
        return int(np.argmax(bets)) if bets.max() > 1 else 0

    def state(self) -> dict[str, Any]:
        return {
            "first_prior": float(self._prior[0]),
            "planned_bins": self.planned_bins,
            "log_bets": self.log_bets.tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls(state["first_prior"], state["planned_bins"], len(state["log_bets"]))
        rows = np.array(state["log_bets"], float)
        self.opened = rows.shape[-1]
        self._logs[:, : self.opened] = rows
        return self
