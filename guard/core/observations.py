"""What became known of requests, in columns: the form in which single requests reach the evidence.

Owns nothing but the form. All arrays of one object have one length; order means nothing; times are seconds
on the rollout's clock. `replica` is a code, one per replica and arm, given in order of appearance. Bad input
(not finite, negative, twice) has been left out and counted before (`request_facts`).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Latencies:
    """Values of one signal, TTFT or ITL.

    Attributes:
        at: When each became known: a first token, the cap that a waiting request has reached, or an end.
        seconds: Above 0; a TTFT is capped already.
        in_flight: Requests in flight on its replica when it arrived; nan where unknown.
    """

    at: Floats
    canary: Bools
    replica: Codes
    seconds: Floats
    in_flight: Floats


@dataclass(frozen=True)
class Marks:
    """Moments of requests: that they arrived, or that they turned bad."""

    at: Floats
    canary: Bools
    replica: Codes
