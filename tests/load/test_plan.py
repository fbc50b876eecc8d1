import math
from typing import Any

import pytest

from guard.errors import ConfigurationError
from guard.load.plan import LoadPlan


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 0.0}, "rate must be above 0"),
        ({"rate": -1.0}, "rate must be above 0"),
        ({"rate": math.inf}, "rate must be above 0"),
        ({"rate": math.nan}, "rate must be above 0"),
        ({"rate": None}, "rate must be above 0"),
        ({"duration_seconds": 0.0}, "duration must be above 0"),
        ({"duration_seconds": math.nan}, "duration must be above 0"),
        ({"concurrency": 2}, "poisson arrivals have a rate"),
        ({"max_tokens": 0}, "maxTokens must be at least 1"),
        ({"timeout_seconds": 20.0}, "a timeout of 20 s cuts off its 30 s"),
        ({"rate": 0.01}, "are not one request"),
        ({"rate": 1000.0}, "30000 requests an arm, above the limit of 20000: raise --max-requests"),
        ({"arrivals": "closed", "rate": None, "concurrency": 0}, "concurrency must be at least 1"),
        ({"arrivals": "closed", "concurrency": 2}, "a closed loop has a concurrency, and no rate"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        LoadPlan(**{"arrivals": "poisson", "duration_seconds": 30.0, "rate": 1.0} | settings)


def test_a_raised_limit_allows_more_requests() -> None:
    assert LoadPlan("constant", 30, rate=1000, max_requests=30_000).expected_requests == 30_000
