"""The good and bad probes of one Guard on disk, so that a restart does not forget three days.

Owns the file `ARTIFACTS/NAMESPACE/error_budgets/GUARD.json`, whose size is bounded as the history is. A file
that cannot be read is told of and begun anew: the windows then say NO_DATA until they are filled again.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guard.adapters.artifacts import replace_file
from guard.core.budget_history import BudgetHistory
from guard.core.text import one_line
from guard.errors import TidegateError

FOLDER = "error_budgets"  # an underscore: no Change can have this name
FORMAT = "tidegate.dev/error-budgets/v1"

log = logging.getLogger("tidegate.guard")


@dataclass
class Remembered:
    """Of one Guard.

    Attributes:
        histories: By `guard.core.probe_counts.budget_key`.
        told: By objective, the severity that was told of last and is not over.
    """

    histories: dict[str, BudgetHistory] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)


class BudgetStore:
    """Those of one namespace."""

    def __init__(self, namespace: str, artifacts: Path) -> None:
        self._folder = artifacts.absolute() / namespace / FOLDER

    def load(self, guard: str, uid: str) -> Remembered:
        """What is known of this Guard; nothing of another one that had its name."""
        file = self._folder / f"{guard}.json"
        try:
            return _read(json.loads(file.read_bytes()), uid)
        except FileNotFoundError:
            return Remembered()
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            log.warning("guard %s: error budgets begin anew, %s: %s", guard, file, one_line(str(error)))
            return Remembered()

    def save(self, guard: str, uid: str, remembered: Remembered) -> None:
        """What cannot be written is told of, and is in memory as long as this guard leads."""
        histories = {key: history.state() for key, history in remembered.histories.items()}
        document = {"format": FORMAT, "uid": uid, "probes": histories, "told": remembered.told}
        try:
            replace_file(self._folder / f"{guard}.json", json.dumps(document).encode())
        except (OSError, TidegateError) as error:
            log.warning("guard %s: its error budgets could not be saved: %s", guard, error)


def _read(document: Mapping[str, Any], uid: str) -> Remembered:
    if document["format"] != FORMAT:
        raise ValueError(f"its format is {document['format']!r}, expected {FORMAT}")
    if document["uid"] != uid:
        return Remembered()
    histories = {str(key): BudgetHistory.from_state(rows) for key, rows in document["probes"].items()}
    return Remembered(histories, {str(name): str(severity) for name, severity in document["told"].items()})
