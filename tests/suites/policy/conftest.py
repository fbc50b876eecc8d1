"""Fixtures of the policy suite's tests."""

from tests.suites.policy.direct import make

__all__ = ["make"]
