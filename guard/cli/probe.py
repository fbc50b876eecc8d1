"""`tidegate probe`: judge what serves now, once or again and again, and tell Prometheus.

Owns options, signals and the exit code. Nothing heavy is imported before the command runs.
"""

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from guard.cli.progress import progress

if TYPE_CHECKING:
    from guard.adapters.metrics import Metrics
    from guard.core.evidence import Report
    from guard.gate.plan import Wishes


@click.command("probe", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--candidate", metavar="URL", required=True, help="The deployment to probe.")
@click.option("--suite", "suites", metavar="NAMES", help="As for `gate`. [default: smoke, or the file's]")
@click.option("--model", metavar="ID", help="As in /v1/models. [default: the only one served]")
@click.option("--config", "config_file", metavar="FILE", type=click.Path(path_type=Path),
              help="Suites and objectives (YAML).")  # fmt: skip
@click.option("--api-key-env", metavar="NAME", help="Environment variable that holds the API key.")
@click.option("--ca-file", metavar="FILE", help="Certificates of the issuer (PEM).")
@click.option("--every", metavar="DURATION", help="Again and again until Ctrl-C, such as 5m.")
@click.option("--metrics-port", metavar="N", type=click.IntRange(0, 65535),
              help="Serve Prometheus metrics; 0 takes a free port. Needs --every.")  # fmt: skip
@click.option("--metrics-address", metavar="IP", default="127.0.0.1", show_default=True)
@click.option("--name", metavar="NAME", default="probe", show_default=True,
              help="What the metrics' label `guard` says.")  # fmt: skip
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="Keep reports and evidence; with --every, a folder a run.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True,
              help="Print verdict.json on stdout; with --every, a line a run.")  # fmt: skip
def command(
    suites: str | None,
    every: str | None,
    metrics_port: int | None,
    metrics_address: str,
    name: str,
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Judge the deployment that serves now; nothing is compared.

    Exit code: 0 pass, 1 fail, 2 inconclusive or no data, 3 error; with --every, the last finished run's.

    \b
    Examples:
      tidegate probe --candidate http://chat:8000
      tidegate probe --candidate http://chat:8000 --every 5m --metrics-port 9465
    """
    from guard.errors import ConfigurationError
    from guard.gate.plan import Wishes

    if metrics_port is not None and every is None:
        raise ConfigurationError("--metrics-port needs --every: nobody could scrape a single run")
    default = None if options["config_file"] else ["smoke"]
    named = default if suites is None else [part.strip() for part in suites.split(",") if part.strip()]
    run = _Probing(Wishes(suites=named, **options), out, as_json)
    if every is None:
        return run.once()
    return run.again_and_again(_period(every), name, metrics_address, metrics_port)


class _Probing:
    """Runs, and what is shown of them."""

    def __init__(self, wishes: "Wishes", out: Path | None, as_json: bool) -> None:
        self._wishes, self._out, self._as_json = wishes, out, as_json
        self._interrupted = False

    def once(self) -> int:
        from guard.core.verdict import EXIT_CODES

        with self._interruptible(), _folder(self._out) as out:
            report = self._judge(out)
        self._show(report)
        return EXIT_CODES[report.verdict]

    def again_and_again(self, every: float, name: str, address: str, port: int | None) -> int:
        from guard.adapters.metrics import Metrics, MetricsServer
        from guard.core.verdict import EXIT_CODES, Verdict
        from guard.gate.plan import make_plan
        from guard.gate.probe import remove_old_runs, repeat, run_folder

        plan = make_plan(self._wishes)  # refused now, rather than at every run
        metrics = Metrics()
        board = _Board(metrics, name, [suite.name for suite in plan.config.suites], every)
        codes = [EXIT_CODES[Verdict.ERROR]]

        def once() -> None:
            with _folder(self._out and run_folder(self._out, time.time())) as out:
                report = self._judge(out)
                if self._interrupted:
                    return  # an interrupted run says nothing of the deployment
                board.take(report, out / "evidence")
            if self._out:
                remove_old_runs(self._out)
            codes.append(EXIT_CODES[report.verdict])
            self._show(report)

        server = MetricsServer(metrics, address, port) if port is not None else None
        try:
            if server is not None:
                click.echo(f"metrics on {server.url}", err=True)
            with self._interruptible(), contextlib.suppress(KeyboardInterrupt):
                repeat(once, every, lambda: self._interrupted)
        finally:
            if server is not None:
                server.stop()
        return codes[-1]

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first signal to end raises KeyboardInterrupt; later ones are ignored."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

        def interrupt(number: int, frame: FrameType | None) -> None:
            if not self._interrupted:
                self._interrupted = True
                raise KeyboardInterrupt

        before = [(number, signal.signal(number, interrupt)) for number in numbers]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def _judge(self, out: Path) -> "Report":
        """As `tidegate gate` does, in one folder."""
        from guard.adapters.artifacts import OutputFolder
        from guard.gate.run import judge
        from reports.bundle import OUTPUTS, render_all

        secret = os.environ.get(self._wishes.api_key_env or "")
        folder = OutputFolder.prepare(out, OUTPUTS, [secret] if secret else [])
        with progress(without=("Finished", "Started", "SuiteStarted")) as show:
            report = judge(self._wishes, folder, show)
        if self._out:
            for file, content in render_all(report).items():
                folder.write(file, content)
        return report

    def _show(self, report: "Report") -> None:
        import json

        from guard.core.text import visible

        line = json.dumps(report.summary()) if self._as_json else f"{report.verdict}: {report.reason}"
        click.echo(line if self._as_json else visible(line))


class _Board:
    """What the metrics say of these runs."""

    def __init__(self, metrics: "Metrics", name: str, suites: list[str], every: float) -> None:
        from guard.adapters.metrics import SuiteState

        self._metrics, self._name = metrics, name
        since = time.time()
        self._states = {suite: SuiteState(name, suite, every, since) for suite in suites}
        self._publish()

    def take(self, report: "Report", evidence: Path) -> None:
        from dataclasses import replace

        from guard.gate.probe import outcomes

        for found in outcomes(report, self._states, evidence):
            self._metrics.suite_ended(
                "", self._name, found.suite, found.verdict, found.ttft_seconds, found.e2e_seconds
            )
            self._states[found.suite] = replace(
                self._states[found.suite], verdict=found.verdict, finished_at=report.finished_at
            )
        self._publish()

    def _publish(self) -> None:
        from guard.adapters.metrics import State

        self._metrics.show(State(suites=tuple(self._states.values())))


def _period(text: str) -> float:
    from guard.api.fields import seconds
    from guard.errors import ConfigurationError

    try:
        period = seconds(text)
    except ValueError as error:
        raise ConfigurationError(f"--every: {error}") from error
    if period <= 0:
        raise ConfigurationError("--every: expected more than no time, such as 5m")
    return period


@contextlib.contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """The folder of one run; one that nobody asked to keep is gone afterwards."""
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="tidegate-probe-") as temporary:
        yield Path(temporary)
