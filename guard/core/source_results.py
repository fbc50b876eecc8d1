"""What one source has shown of both arms, as far as the hard limits ask: sums, and the canary's last run.

Owns which memory a result goes to. Refuses to judge.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

import numpy as np

from guard.core.bad_run import BadRun
from guard.core.observations import Bools, Floats
from guard.core.recent_results import Counts, RecentResults, Tally


class SourceResults:
    """Two runs, because a 4xx breaks none where the stable refuses such requests, too.

    Attributes:
        stable: Since the beginning; `recent` is the last minutes of both arms.
        run: A 4xx is bad. In `run_without_client_errors` it is neither good nor bad.
    """

    def __init__(self) -> None:
        self.recent = RecentResults()
        self.stable = Tally()
        self.run, self.run_without_client_errors = BadRun(), BadRun()

    def add(self, at: Floats, canary: Bools, counts: Counts, single: bool) -> None:
        """Takes results in any order; those without a finite moment are left out.

        Args:
            counts: Requests, bad and client errors; shape (results, 3).
            single: Each is one request, so that "in a row" means something.
        """
        usable = np.isfinite(at)
        at, canary, counts = at[usable], canary[usable], counts[usable]
        if not len(at):
            return
        self.recent.add(at, canary, counts)
        self.stable += Tally(*counts[~canary].sum(0).tolist())
        if single and canary.any():
            bad, client_error = counts[:, 1] > 0, counts[:, 2] > 0
            good = at[canary & ~bad & ~client_error]
            self.run.add(good, at[canary & (bad | client_error)])
            self.run_without_client_errors.add(good, at[canary & bad])

    def state(self) -> dict[str, Any]:
        return {
            "recent": self.recent.state(),
            "stable": asdict(self.stable),
            "run": self.run.state(),
            "run_without_client_errors": self.run_without_client_errors.state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        self = cls()
        self.recent = RecentResults.from_state(state["recent"])
        self.stable = Tally(**state["stable"])
        self.run = BadRun.from_state(state["run"])
        self.run_without_client_errors = BadRun.from_state(state["run_without_client_errors"])
        return self
