"""Any server that speaks OpenAI's API and that has no file of its own here.

It has no health path of its own, so the model list stands in; nothing is known of its version or metrics.
"""

from guard.adapters.runtimes.base import Runtime


class OpenAI(Runtime):
    """The defaults of `Runtime`, under a name of their own."""
