"""Requests as objects, as sources deliver them, into columns.

Owns the codes of replicas: one for each replica of an arm, in order of appearance.
"""

import math
from collections.abc import Sequence

import numpy as np

from guard.core.blocks import is_client_error
from guard.core.observations import BAD, CLIENT_ERROR, OK, WAITS, Floats, Requests
from guard.core.samples import Arm, Outcome, RequestSample


class Replicas:
    """Codes of replicas."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.names = list(names)  # `arm/replica`; the place is the code
        self._codes = {name: code for code, name in enumerate(self.names)}

    def code(self, arm: Arm, replica: str | None) -> int:
        """The same for the same replica; a replica without a name is its arm's only one."""
        name = f"{arm}/{replica or ''}"
        if name not in self._codes:
            self._codes[name] = len(self.names)
            self.names.append(name)
        return self._codes[name]


def columns(samples: Sequence[RequestSample], replicas: Replicas) -> Requests:
    """One row a sample, in order."""
    return Requests(
        [s.request_id for s in samples],
        np.array([s.arm is Arm.CANARY for s in samples], np.bool_),
        np.array([replicas.code(s.arm, s.replica) for s in samples], np.int32),
        _floats([s.started_at for s in samples]),
        _floats([s.first_token_at for s in samples]),
        _floats([s.finished_at for s in samples]),
        _floats([s.itl_mean_seconds for s in samples]),
        _floats([s.output_tokens for s in samples]),
        np.array([_outcome(s) for s in samples], np.int8),
    )


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([math.nan if v is None else v for v in values], np.float64)


def _outcome(sample: RequestSample) -> int:
    if sample.outcome is None:
        return WAITS
    if sample.outcome is Outcome.OK:
        return OK
    client_error = sample.status is not None and is_client_error(str(sample.status))
    return CLIENT_ERROR if client_error else BAD
