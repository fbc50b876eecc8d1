"""One thing that was looked at: how it is, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum

from guard.core.text import one_line


class Level(StrEnum):
    """How much a finding matters, worst first."""

    PROBLEM = "PROBLEM"  # the guard does not work
    UNKNOWN = "UNKNOWN"  # it could not be looked at
    WARNING = "WARNING"  # the guard works, but sees less or may do more than it should
    OK = "OK"


@dataclass(frozen=True)
class Finding:
    """Texts are one line each, with nothing in them that a terminal would act on."""

    level: Level
    subject: str
    message: str
    remedy: str | None = None

    def __post_init__(self) -> None:
        for name in ("subject", "message", "remedy"):
            text = getattr(self, name)
            if text is not None:
                object.__setattr__(self, name, one_line(text, 600))

    def to_json(self) -> dict[str, str | None]:
        return {
            "level": self.level,
            "subject": self.subject,
            "message": self.message,
            "remedy": self.remedy,
        }


def ok(subject: str, message: str) -> Finding:
    return Finding(Level.OK, subject, message)


def warning(subject: str, message: str, remedy: str) -> Finding:
    return Finding(Level.WARNING, subject, message, remedy)


def problem(subject: str, message: str, remedy: str) -> Finding:
    return Finding(Level.PROBLEM, subject, message, remedy)


def unknown(subject: str, message: str, remedy: str) -> Finding:
    return Finding(Level.UNKNOWN, subject, message, remedy)
