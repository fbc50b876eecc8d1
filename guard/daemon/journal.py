"""What a Change's evidence must not lose when the guard is killed: written at once, read by a successor.

Owns trace.json (what the live rule said at each step's end), routes.json (the route's versions and weights)
and finding again the results of suites that an earlier guard ran. Raw samples are not kept here: they are
written once, at the end. A disk that takes nothing is logged, and never keeps a tick from its decision.
"""

import json
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from guard.adapters.artifacts import OutputFolder
from guard.adapters.routers.httproute import RouteState
from guard.core.check import Check, SuiteResult
from guard.core.series import WeightPoint
from guard.daemon.change_report import Judged

_TRACE, _ROUTES = "trace.json", "routes.json"

log = logging.getLogger("tidegate.guard")


class Journal:
    """One Change's; `suites` are those that guards before this one ran to their end, with their stage."""

    def __init__(self, folder: OutputFolder) -> None:
        self._folder = folder
        self.judged = _rows(folder.evidence / _TRACE, Judged.from_json)
        self.routes: list[dict[str, Any]] = _rows(folder.evidence / _ROUTES, dict)
        self.suites = _suites(folder)
        self._taken = 0

    def saw(self, at: float, route: RouteState) -> None:
        """A look at the route; kept when it is another version than the last one."""
        if self.routes and self.routes[-1]["resource_version"] == route.resource_version:
            return
        self.routes.append(
            {
                "at": at,
                "resource_version": route.resource_version,
                "weight_percent": route.weight_percent,
                "phase": route.phase and str(route.phase),
                "change": route.change,
            }
        )
        self._write(_ROUTES, self.routes)

    def judge(self, at: float, live_checks: Sequence[tuple[int, tuple[Check, ...]]]) -> None:
        """Take what this guard's run has judged since the last call; `live_checks` only ever grows."""
        new = [Judged(step, at, checks) for step, checks in live_checks[self._taken :] if step >= 0]
        self._taken = len(live_checks)
        if new:
            self.judged += new
            self._write(_TRACE, [judged.to_json() for judged in self.judged])

    def _write(self, name: str, rows: Sequence[Any]) -> None:
        try:
            self._folder.write_evidence(name, rows)
        except OSError as error:
            log.warning("%s: could not be written: %s", self._folder.evidence / name, error)

    def weights(self) -> list[WeightPoint]:
        """When the canary's weight changed, and to what."""
        found: list[WeightPoint] = []
        for row in self.routes:
            if not found or found[-1].weight_percent != row["weight_percent"]:
                found.append(WeightPoint(row["at"], row["weight_percent"]))
        return found


Row = TypeVar("Row")


def _rows(file: Path, read: Callable[[Any], Row]) -> list[Row]:
    """Nothing where there is nothing, or nothing that can be read: a successor must be able to begin."""
    try:
        return [read(row) for row in json.loads(file.read_bytes())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, LookupError, TypeError) as error:
        log.warning("%s: cannot be read, and begins anew: %s", file, error)
        return []


def _suites(folder: OutputFolder) -> list[tuple[str, SuiteResult]]:
    """In the order in which they ran; one that was killed has no result."""
    found: list[tuple[str, SuiteResult]] = []
    for run in sorted(folder.evidence.glob("suites/*")):
        named = re.fullmatch(r"\d+-(.+)-([a-z]+)", run.name)
        if named is None or not (file := run / f"{named[2]}.json").exists():
            continue
        try:
            document = folder.hide(json.loads(file.read_bytes()))
            found.append((named[1], SuiteResult.from_json(document)))
        except (OSError, ValueError, LookupError, TypeError) as error:
            log.warning("%s: cannot be read: %s", file, error)
    return found
