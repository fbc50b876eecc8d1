"""`tidegate replay`: a recorded rollout judged again by the live rule, under these or other settings.

Owns options, what goes to which stream, and the exit code. Nothing heavy is imported before it runs.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from guard.core.replay import Decision
    from guard.core.rollout import Rollout


@click.command("replay", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True,
              help="A setting other than the recorded one, such as alpha=0.001, minRequests=50 or "
              "promotion.policy=NonInferior; repeatable.")  # fmt: skip
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Draw evidence and measurements over time, with the deciding moment.")  # fmt: skip
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else there."
)
def command(folder: Path, overrides: tuple[str, ...], html: Path | None, as_json: bool) -> int:
    """Judge a recorded rollout at every 5 s tick, by the rule that judges live ones.

    DIR is such a folder (docs/replay.md), or a Change's that a guard wrote. At each tick only what was known
    then is used; the first rollback or promotion ends the replay.
    Exit code: 0 promoted, 1 rolled back, 2 neither (inconclusive or no data), 3 error.

    \b
    Examples:
      tidegate replay artifacts/inference/ops-1
      tidegate replay artifacts/inference/ops-1 --set alpha=0.001 --html replay.html
    """
    from guard.adapters.artifacts import check_replaceable
    from guard.adapters.rollout_folder import find_rollout, read_rollout
    from guard.cli.replay_view import ProgressLine, last_line, summary, table
    from guard.core.replay import replay

    found = find_rollout(folder)
    if html is not None:
        check_replaceable(html)
        _check_outside(html, found)
    rollout = read_rollout(found, overrides)
    name = folder.resolve().name
    click.echo(summary(name, rollout), err=as_json)
    progress = ProgressLine(rollout.end_seconds)
    try:
        decision = replay(rollout, progress)
    finally:
        progress.close()
    if html is not None:
        _draw(html, name, rollout, decision)
    if as_json:
        click.echo(_document(decision))
    else:
        click.echo(table(decision))
    click.echo(last_line(decision), err=as_json)
    return decision.exit_code


def _check_outside(file: Path, rollout: Path) -> None:
    """Refuses a page in a sealed folder: `tidegate verify` would find it."""
    from guard.errors import ConfigurationError

    if (rollout / "manifest.json").exists() and file.resolve().is_relative_to(rollout.resolve()):
        raise ConfigurationError(f"--html {file}: is in the evidence, which is sealed: choose another folder")


def _draw(file: Path, name: str, rollout: "Rollout", decision: "Decision") -> None:
    from guard.adapters.artifacts import replace_file
    from guard.errors import ConfigurationError
    from reports.replay import render_replay

    try:
        replace_file(file, render_replay(name, rollout, decision).encode())
    except OSError as error:
        raise ConfigurationError(f"--html {file}: {error.strerror or error}") from error


def _document(decision: "Decision") -> str:
    """Indented, but a tick a line."""
    import json

    from guard.core.text import sanitized

    document = sanitized(decision.to_json())
    timeline = ",\n    ".join(json.dumps(moment) for moment in document.pop("timeline"))
    head = json.dumps(document, indent=2, allow_nan=False).removesuffix("\n}")
    return f'{head},\n  "timeline": [\n    {timeline}\n  ]\n}}'
