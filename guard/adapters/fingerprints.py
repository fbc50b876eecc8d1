"""What a model server tells of itself, as a fingerprint: one call, whatever its vendor.

Refuses to compare: `guard.core.fingerprint` does.
"""

from guard.adapters.chat import ChatClient
from guard.adapters.endpoint import Endpoint, Timeouts
from guard.adapters.runtimes import detect, served_models
from guard.core.fingerprint import Fingerprint

_TIMEOUTS = Timeouts(connect=5.0, read=15.0, total=15.0)


def read_fingerprint(endpoint: Endpoint, model: str) -> Fingerprint:
    """What the arm tells of itself. Raises as `served_models`."""
    with ChatClient(endpoint, timeouts=_TIMEOUTS) as client:
        return detect(served_models(client)).fingerprint(client, model)
