"""A recorded rollout's folder, read: rollout.json and four tables (DESIGN section 12).

Owns the format of rollout.json and which files there are; any table may be missing. Refuses to judge. What
is damaged is refused by file, column and row; what cannot be used is dropped and counted.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from guard.adapters.rollout_counts import read_blocks, read_evals, read_events
from guard.adapters.rollout_histograms import read_histograms
from guard.adapters.rollout_requests import WORDS, read_requests
from guard.adapters.rollout_tables import Table
from guard.api.replay_settings import ReplaySettings, read_settings
from guard.core.rollout import EvalLog, RecordedStep, RequestLog, Rollout
from guard.core.samples import Source
from guard.errors import ConfigurationError, NotFoundError

FORMAT_VERSION = 1
ROLLOUT = "rollout.json"
TABLES = {
    "requests.parquet": WORDS,
    "blocks.parquet": ("source", "arm", "replica", "signal"),
    "events.parquet": ("arm", "replica", "kind", "detail"),
    "evals.parquet": ("item",),
}
"""Each table, and its columns of words."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Step(BaseModel):
    model_config = ConfigDict(strict=True)
    start_seconds: Finite
    weight_percent: Annotated[int, Field(ge=0, le=100)]


class _Document(BaseModel):
    """rollout.json; keys that this version does not know are left alone, save in `settings`."""

    model_config = ConfigDict(strict=True)
    format_version: Literal[1]
    steps: list[_Step]
    end_seconds: Finite
    baseline_from_seconds: Finite = 0.0
    canary_replicas: list[Annotated[int, Field(ge=0)]] = []
    baseline_replicas: list[Annotated[int, Field(ge=0)]] = []
    settings: dict[str, Any] | None = None


def find_rollout(folder: Path) -> Path:
    """The folder itself, or the evidence in the folder of a Change that a guard wrote.

    Raises:
        NotFoundError: Neither has a rollout.json.
    """
    places = (folder, folder / "evidence")
    found = next((place for place in places if (place / ROLLOUT).exists()), None)
    if found is None:
        raise NotFoundError(f"{folder}: holds no {ROLLOUT}; a recorded rollout is a folder with one")
    return found


def read_rollout(folder: Path, overrides: Iterable[str] = ()) -> Rollout:
    """Everything in the folder that can be used.

    Args:
        overrides: `KEY=VALUE` each: settings other than the recorded ones.
    Raises:
        NotFoundError: There is no such folder, or no rollout.json in it.
        ConfigurationError: A file is damaged, or a setting unknown.
    """
    document = _read_document(folder / ROLLOUT)
    settings = read_settings(document.settings, overrides, f"{folder / ROLLOUT}: settings")
    dropped: Counter[str] = Counter()
    unused: Counter[str] = Counter()
    tables = {name: Table(folder / name, words) for name, words in TABLES.items() if (folder / name).exists()}
    requests: dict[Source, RequestLog] = {}
    replicas: tuple[tuple[str, str], ...] = ()
    if table := tables.get("requests.parquet"):
        requests, replicas = read_requests(table, dropped)
    blocks, events, evals = (tables.get(name) for name in list(TABLES)[1:])
    steps, end = _steps(document, settings)
    return Rollout(
        steps=steps,
        end_seconds=end,
        baseline_from_seconds=document.baseline_from_seconds,
        requests=requests,
        replicas=replicas,
        blocks=read_blocks(blocks, dropped, unused) if blocks else (),
        histograms=read_histograms(blocks, dropped) if blocks else (),
        events=read_events(events, dropped, unused) if events else (),
        evals=read_evals(evals, dropped) if evals else EvalLog(),
        settings=settings.to_core(),
        dropped={why: n for why, n in sorted(dropped.items()) if n},
        unused={what: n for what, n in sorted(unused.items()) if n},
        missing=tuple(name for name in TABLES if name not in tables),
    )


def _read_document(file: Path) -> _Document:
    try:
        plain = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise NotFoundError(f"{file}: no such file; a recorded rollout is a folder with one") from error
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigurationError(f"{file}: not JSON ({error})") from error
    if not isinstance(plain, dict):
        raise ConfigurationError(f"{file}: expected a mapping, got {type(plain).__name__}")
    if plain.get("format_version") != FORMAT_VERSION:
        found = plain.get("format_version", "none")
        raise ConfigurationError(f"{file}: format_version {found}, this version reads {FORMAT_VERSION}")
    try:
        document = _Document.model_validate(plain)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise ConfigurationError("\n".join(f"{file}: {line}" for line in lines)) from error
    starts = [step.start_seconds for step in document.steps]
    if not starts:
        raise ConfigurationError(f"{file}: steps: none; a canary without traffic cannot be judged")
    if starts != sorted(set(starts)):
        raise ConfigurationError(f"{file}: steps: start_seconds must rise, got {starts}")
    if document.end_seconds <= starts[0]:
        raise ConfigurationError(f"{file}: end_seconds: {document.end_seconds:g} is before the first step")
    return document


def _steps(document: _Document, settings: ReplaySettings) -> tuple[tuple[RecordedStep, ...], float]:
    """The steps in which the canary was judged, and their end.

    What a rollback left is no step, nor what a promotion did after the last of a Guard's own steps.
    """
    wanted = {step.weight: step.min_requests for step in settings.steps}
    rows, end = list(document.steps), document.end_seconds
    while len(rows) > 1 and _is_over(rows[-1], end, wanted):
        end = min(end, rows.pop().start_seconds)
    steps = (
        RecordedStep(
            row.start_seconds,
            row.weight_percent,
            _at(document.canary_replicas, index),
            _at(document.baseline_replicas, index),
            wanted.get(row.weight_percent),
        )
        for index, row in enumerate(rows)
    )
    return tuple(steps), end


def _is_over(row: _Step, end: float, wanted: Mapping[int, int]) -> bool:
    strange = bool(wanted) and row.weight_percent not in wanted
    return row.weight_percent == 0 or row.start_seconds >= end or strange


def _at(values: list[int], index: int) -> int | None:
    return values[index] if index < len(values) else None
