"""Simulates and judges what is missing, in processes.

Owns the order of work: rollouts of all cells in turn, so that a run that is cut off says a little of each.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from benchmarks.decisions.cells import Cell
from benchmarks.decisions.results import Result, Results
from benchmarks.decisions.rules import judged
from benchmarks.decisions.scenario import generate

NICENESS = 10
TOGETHER = 25  # rollouts of one cell before the next cell's

Task = tuple[Cell, int, tuple[str, ...]]


def run(
    cells: Sequence[Cell],
    seeds: range,
    results: Results,
    processes: int,
    tell: Callable[[int, int], None] = lambda done, all_: None,
) -> None:
    """Fills `results`; `tell` hears how many rollouts of how many are done."""
    tasks = list(_tasks(cells, seeds, results))
    if processes == 1:
        for done, found in enumerate(map(simulate, tasks), 1):
            results.add(found)
            tell(done, len(tasks))
        return
    with multiprocessing.get_context("fork").Pool(processes, os.nice, (NICENESS,)) as pool:
        for done, found in enumerate(pool.imap_unordered(simulate, tasks), 1):
            results.add(found)
            tell(done, len(tasks))


def _tasks(cells: Sequence[Cell], seeds: range, results: Results) -> Iterator[Task]:
    for start in range(0, len(seeds), TOGETHER):
        for cell in cells:
            for seed in seeds[start : start + TOGETHER]:
                if rules := results.missing(cell.name, seed):
                    yield cell, seed, rules


def simulate(task: Task) -> list[Result]:
    """One rollout, and what the rules make of it."""
    cell, seed, rules = task
    begun = time.process_time()
    rollout = generate(cell.scenario, seed)
    generated = time.process_time() - begun
    found = []
    for rule in rules:
        begun = time.process_time()
        decision = judged(rollout, rule, cell.settings)
        spent = time.process_time() - begun
        found.append(
            Result(
                cell.name,
                seed,
                rule,
                decision.action,
                decision.at_seconds,
                decision.signal,
                decision.verdict,
                round(generated, 4),
                round(spent, 4),
                {signal: asdict(said) for signal, said in decision.said.items()},
            )
        )
    return found
