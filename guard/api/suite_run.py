"""The SuiteRun: one execution of one scheduled suite, as a record.

The suite's spec is a copy, so that what was judged stays fixed when the Guard moves. The guard alone writes
these; nobody asks for a run by creating one.
"""

from pydantic import Field

from guard.api.fields import Strict
from guard.api.guard import Cron, Name
from guard.api.suites import Suite


class SuiteRunSpec(Strict):
    """What ran, for which Guard, against which endpoint of its stable; `scheduled_at` is RFC 3339."""

    guard: Name
    suite: Suite
    workload: Name
    endpoint: str | None = None
    model: str
    cron: Cron
    scheduled_at: str = Field(json_schema_extra={"format": "date-time"})
