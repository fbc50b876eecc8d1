"""Requests that a model server works on now, from its own /metrics.

Refuses to guess: a server that does not tell, or does not answer, is None.
"""

import math

import httpx

from guard.adapters.endpoint import Endpoint, Timeouts, open_client
from guard.adapters.runtimes import BY_TYPE

_TIMEOUTS = Timeouts(connect=1.0, read=2.0, total=3.0)


def requests_in_flight(endpoint: Endpoint, runtime: str, metrics_path: str) -> int | None:
    """Running and waiting requests of one pod; None when unknown.

    Args:
        runtime: A key of `guard.adapters.runtimes.BY_TYPE`.
    """
    vendor = BY_TYPE[runtime]
    names = [name for name in (vendor.running_metric, vendor.waiting_metric) if name]
    if not names:
        return None
    try:
        with open_client(endpoint, _TIMEOUTS) as client:
            response = client.get(metrics_path)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    return in_flight(response.text, names) if response.status_code == 200 else None


def in_flight(exposition: str, names: list[str]) -> int | None:
    """Sum of the named gauges over their labels; None when none of them is there."""
    rows = [line for line in exposition.splitlines() if line.split("{", 1)[0].split(" ", 1)[0] in names]
    try:
        values = [float(row.rsplit(" ", 1)[1]) for row in rows]
    except (ValueError, IndexError):
        return None
    return round(sum(values)) if values and math.isfinite(sum(values)) else None
