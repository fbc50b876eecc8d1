"""`tidegate gate`: judge a candidate before promotion, by the suites.

Owns options, progress on stderr and the exit code. Nothing heavy is imported before the command runs.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from guard.cli.progress import progress

if TYPE_CHECKING:
    from guard.core.evidence import Report


@click.command("gate", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--candidate", metavar="URL", required=True, help="The deployment under judgement.")
@click.option("--baseline", metavar="URL", help="What it is compared with; without it nothing is compared.")
@click.option(
    "--suite", "suites", metavar="NAMES", help="Of smoke, eval, load, policy. [default: the file's, or all]"
)
@click.option("--policy-gateway", metavar="URL",
              help="What the suite policy judges; without it that suite does not run.")  # fmt: skip
@click.option("--model", metavar="ID", help="As in /v1/models. [default: the only one served]")
@click.option("--config", "config_file", metavar="FILE", type=click.Path(path_type=Path),
              help="Suites and objectives (YAML).")  # fmt: skip
@click.option("--api-key-env", metavar="NAME", help="Environment variable that holds the API key.")
@click.option("--ca-file", metavar="FILE", help="Certificates of the issuer (PEM).")
@click.option("--policy", type=click.Choice(["NoHarmFound", "NonInferior"]),
              help="What passes: no harm found, or proof of equality. [default: NoHarmFound]")  # fmt: skip
@click.option("--expect-change", metavar="FIELD", multiple=True,
              help="A fingerprint field that the change alters; repeatable. "
              "[default: all but accelerator, suite_version, dataset]")  # fmt: skip
@click.option("--out", metavar="DIR", required=True, type=click.Path(path_type=Path, file_okay=False),
              help="Where verdict.json, junit.xml, summary.md, report.html and evidence/ go.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print verdict.json on stdout, and nothing else there.")
def command(suites: str | None, out: Path, as_json: bool, **options: Any) -> int:
    """Judge a candidate before it is promoted.

    Runs the suites smoke, eval and load on the candidate, in pairs with the baseline where one is given, and
    policy on a policy gateway.
    Exit code: 0 pass, 1 fail, 2 inconclusive or no data, 3 error (also usage, and Ctrl-C).

    \b
    Example:
      tidegate gate --candidate http://canary:8000 --baseline http://stable:8000 --out out
    """
    from guard.adapters.artifacts import OutputFolder
    from guard.adapters.policy.gateway import TOKEN_VARIABLES
    from guard.core.verdict import EXIT_CODES
    from guard.gate.plan import Wishes
    from guard.gate.run import judge, unfinished
    from reports.bundle import OUTPUTS, render_all, render_json

    named = None if suites is None else [name.strip() for name in suites.split(",") if name.strip()]
    wishes = Wishes(suites=named, **options)
    with _one_interrupt() as ignore_more:
        names = (wishes.api_key_env or "", *TOKEN_VARIABLES.values())
        secrets = [secret for name in names if (secret := os.environ.get(name))]
        folder = OutputFolder.prepare(out, OUTPUTS, secrets)
        folder.write("verdict.json", render_json(unfinished(wishes, "the run has not finished")))
        with progress(without=() if as_json else ("Finished",)) as show:
            report = judge(wishes, folder, show, ignore_more)
        contents = render_all(report)
        for name, content in contents.items():
            folder.write(name, content)
    said = contents["verdict.json"].decode() if as_json else _closing_words(report, out)
    click.echo(said, nl=not as_json)
    return EXIT_CODES[report.verdict]


@contextlib.contextmanager
def _one_interrupt() -> Iterator[Callable[[], None]]:
    """The first signal to end raises KeyboardInterrupt; from then on, or when told, they are ignored.

    A pipeline that cancels a job sends SIGINT and SIGTERM, often more than once; the reports must be written
    all the same. Writing takes a second or two.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def ignore_more() -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)

    def interrupt(number: int, frame: FrameType | None) -> None:
        ignore_more()
        raise KeyboardInterrupt

    before = [(number, signal.signal(number, interrupt)) for number in numbers]
    try:
        yield ignore_more
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _closing_words(report: "Report", out: Path) -> str:
    from guard.core.text import visible

    lines = [f"{report.verdict}: {report.reason}", *report.notes]
    lines += [
        f"{out / name}" for name in ("report.html", "verdict.json", "junit.xml", "summary.md", "evidence")
    ]
    return visible("\n".join(lines))
