"""What every rule did with every rollout, on disk: one JSON line each, so that a long run can be cut off.

Owns the files: one for each version of the peers and of the engine. A line that was cut in the middle is
left out when read; its rollout is simulated again.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.decisions import versions
from benchmarks.decisions.rules import OURS


@dataclass(frozen=True)
class Result:
    """One rollout, one rule: `Decision`'s fields, and CPU seconds of making the rollout and of judging it."""

    cell: str
    seed: int
    rule: str
    action: str
    at_seconds: float
    signal: str
    verdict: str
    generate_cpu_seconds: float
    judge_cpu_seconds: float
    said: dict[str, Any] = field(default_factory=dict)


class Results:
    """Those of the code as it stands, of the asked rules."""

    def __init__(self, folder: Path, rules: Iterable[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._files = {rule: folder / self._name(rule) for rule in rules}
        self.all: dict[tuple[str, str, int], Result] = {}
        for rule, file in self._files.items():
            for result in _read(file):
                if result.rule == rule:
                    self.all[(rule, result.cell, result.seed)] = result

    def missing(self, cell: str, seed: int) -> tuple[str, ...]:
        """Rules that have not judged this rollout yet."""
        return tuple(rule for rule in self._files if (rule, cell, seed) not in self.all)

    def add(self, results: Iterable[Result]) -> None:
        for result in results:
            self.all[(result.rule, result.cell, result.seed)] = result
            with self._files[result.rule].open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(result)) + "\n")

    def of(self, rule: str, cell: str, seeds: range) -> list[Result]:
        """In the order of seeds, those that there are."""
        found = (self.all.get((rule, cell, seed)) for seed in seeds)
        return [result for result in found if result is not None]

    def _name(self, rule: str) -> str:
        version = versions.engine() if rule == OURS else versions.peers()
        return f"{rule}-{version}.jsonl"


def _read(file: Path) -> list[Result]:
    if not file.exists():
        return []
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            found.append(Result(**json.loads(line)))
        except (json.JSONDecodeError, TypeError):
            continue
    return found
