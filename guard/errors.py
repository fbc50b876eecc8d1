"""The few errors that Tidegate raises on purpose. Everything else is a bug.

Adapters translate what their library raises into one of these (`raise ... from`). The message is one
line for an operator: what was wrong, where, and what to do. None of them is a verdict: a judgement that
could not be made is `Verdict.ERROR`, and every one of these ends a command with exit code 3.
"""


class TidegateError(Exception):
    """Base of all errors whose message is written for the operator."""


class ConfigurationError(TidegateError):
    """A file, object or option does not say what it must; names the path and the nearest valid name."""


class UnreachableError(TidegateError):
    """An endpoint gave no answer: refused, timed out, DNS, TLS."""


class UnauthorizedError(TidegateError):
    """An endpoint answered 401 or 403."""


class ConflictError(TidegateError):
    """The object changed since it was read (409), or a JSON Patch `test` failed (422): re-read, re-plan."""


class NotFoundError(TidegateError):
    """The named object, model or endpoint does not exist."""


class GoneError(TidegateError):
    """The watched resourceVersion is too old (410): list again."""
