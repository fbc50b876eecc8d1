"""python -m benchmarks.decisions: simulates rollouts, has them judged, prints the table."""

import argparse
import os
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.decisions import claims, versions
from benchmarks.decisions.cells import Cell, cells
from benchmarks.decisions.folder import write
from benchmarks.decisions.report import costs, table, write_page
from benchmarks.decisions.results import Results
from benchmarks.decisions.rules import NAMES, OURS
from benchmarks.decisions.run import NICENESS, run
from benchmarks.decisions.scenario import generate
from benchmarks.decisions.seeds import seeds

FOLDER = Path(__file__).resolve().parents[2] / ".tidegate/bench-decisions"


def chosen(patterns: Sequence[str]) -> list[Cell]:
    """Cells whose group or name one of the patterns matches, as in a shell; all for no pattern."""
    return [
        cell
        for cell in cells()
        if not patterns or any(fnmatch(cell.name, p) or fnmatch(cell.group, p) for p in patterns)
    ]


def main(arguments: Sequence[str]) -> int:
    """0 when done; the table is on stdout, progress on stderr."""
    options = _parser().parse_args(arguments)
    picked = chosen(options.only)
    if options.list:
        print("\n".join(f"{cell.group:14} {cell.name}" for cell in picked))
        return 0
    wanted = seeds(options.seeds, options.rollouts, options.batch)
    if options.write:
        for cell in picked:
            folder = options.write / f"{cell.name.replace('/', '_')}-{wanted[0]}"
            write(generate(cell.scenario, wanted[0]), folder, options.histograms)
        return 0
    os.nice(NICENESS)
    rules = [rule for rule in NAMES if rule in (options.rule or NAMES)]
    results = Results(options.dir, rules)
    if not options.table:
        run(picked, wanted, results, options.processes, _tell)
    tables = table(picked, results, rules, wanted)
    if OURS in rules:
        tables += f"\n\n{claims.table(picked, results, wanted)}"
    print(tables)
    if options.costs:
        print("\n" + costs(picked, results, rules, wanted))
    if options.out:
        said = f"Engine {versions.engine()}, peers {versions.peers()}, simulator {versions.simulator()}."
        write_page(options.out, tables, options.seeds, wanted, said)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decisions", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=20, metavar="N", help="of each cell")
    parser.add_argument(
        "--only", action="append", default=[], metavar="CELL", help="name or group; * matches"
    )
    parser.add_argument("--rule", action="append", choices=NAMES, help="default: all")
    parser.add_argument("--seeds", choices=["tuning", "report"], default="tuning")
    parser.add_argument("--batch", type=int, default=1, help="of report seeds; one that was seen is spent")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--dir", type=Path, default=FOLDER, help="of the results; a run goes on where it was")
    parser.add_argument("--table", action="store_true", help="print what there is, simulate nothing")
    parser.add_argument("--costs", action="store_true", help="CPU milliseconds a rollout as well")
    parser.add_argument("--out", type=Path, help="page to write the table into")
    parser.add_argument(
        "--write", type=Path, metavar="DIR", help="write the first rollout of each cell there"
    )
    parser.add_argument("--histograms", type=float, metavar="S", help="with --write: blocks of S seconds")
    parser.add_argument("--list", action="store_true", help="the cells")
    return parser


def _tell(done: int, total: int) -> None:
    if done % 100 == 0 or done == total:
        print(f"{done} of {total} rollouts", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
