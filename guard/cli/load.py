"""`tidegate load`: send a load, keep every request, sum it up. Judges nothing but its own client.

Owns options, the live line, Ctrl-C and the exit code. Nothing heavy is imported before the command runs.
"""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from guard.adapters.endpoint import Endpoint
    from guard.core.check import Check
    from guard.load.plan import LoadPlan
    from guard.load.run import LoadResult


@click.command("load", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--candidate", metavar="URL", required=True, help="What is loaded.")
@click.option("--baseline", metavar="URL", help="Loaded with the same requests at the same moments.")
@click.option("--model", metavar="ID", required=True, help="As in /v1/models.")
@click.option("--arrivals", type=click.Choice(["constant", "poisson", "trace"]),
              help="Open loop: sent when due, whatever is in flight. [default: poisson]")  # fmt: skip
@click.option("--rate", type=float, metavar="R", help="Open loop: requests a second, for each arm.")
@click.option("--trace", metavar="FILE", help="Arrivals recorded in a file.")
@click.option("--concurrency", type=int, metavar="N", help="Closed loop instead: N users for each arm.")
@click.option("--duration", metavar="S", required=True, help="How long requests are sent: 30, 90s or 5m.")
@click.option("--max-tokens", type=int, default=32, show_default=True, help="Of each answer.")
@click.option("--prompt-words", type=int, default=20, show_default=True, help="Of each prompt, about.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of schedule and prompts.")
@click.option("--max-requests", type=int, help="Allow so many for each arm. [default: 20000]")
@click.option("--config", "config_file", metavar="FILE", type=click.Path(path_type=Path),
              help="Objectives (YAML), for goodput.")  # fmt: skip
@click.option("--api-key-env", metavar="NAME", help="Environment variable that holds the API key.")
@click.option("--ca-file", metavar="FILE", help="Certificates of the issuer (PEM).")
@click.option("--out", metavar="FILE", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help="Every request, as Parquet.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the summary on stdout as JSON, alone.")
def command(
    candidate: str,
    baseline: str | None,
    model: str,
    config_file: Path | None,
    api_key_env: str | None,
    ca_file: str | None,
    out: Path,
    as_json: bool,
    **load: Any,
) -> int:
    """Send streaming chat requests to one deployment, or to two alike, and keep every one.

    Latency counts from the moment when a request was due, not from when it could be sent. Ctrl-C writes
    what there is. Exit code: 0 measured, 3 not (usage, no answer, a client too slow for the rate, Ctrl-C).

    \b
    Example:
      tidegate load --candidate http://chat:8000 --model m --rate 2 --duration 60s --out load.parquet
    """
    from guard.adapters.config_file import read_suites_config
    from guard.adapters.endpoint_options import read_api_key, read_endpoint
    from guard.adapters.requests_file import write_requests
    from guard.api.suites import latency_limits
    from guard.core.load_checks import judge_client

    plan = _plan(**load)
    limits = latency_limits(read_suites_config(config_file).objectives)
    api_key = read_api_key(api_key_env)
    _check_folder(out)
    for option, url in (("--candidate", candidate), ("--baseline", baseline)):
        if url is not None:
            _check_served(read_endpoint(option, url, api_key=api_key, ca_file=ca_file), model)
    result, interrupted = _run(
        plan, candidate=candidate, baseline=baseline, model=model, api_key=api_key, ca_file=ca_file
    )
    write_requests(out, result.samples, result.metadata)
    client = judge_client(result.samples)
    faults = _faults(result, client, interrupted)
    _show(result, client, limits, out, faults, as_json)
    return 3 if faults else 0


def _plan(
    *,
    arrivals: str | None,
    rate: float | None,
    trace: str | None,
    concurrency: int | None,
    duration: str,
    max_requests: int | None,
    **size: Any,
) -> "LoadPlan":
    from guard.load.plan import MAX_REQUESTS, LoadPlan

    if arrivals == "trace" or trace is not None:
        raise click.UsageError("--arrivals trace is not there yet: constant, poisson and --concurrency are")
    if concurrency is not None and (arrivals is not None or rate is not None):
        raise click.UsageError("--concurrency is a closed loop: it takes no --arrivals and no --rate")
    if concurrency is None and rate is None:
        raise click.UsageError("say how much: --rate R (open loop) or --concurrency N (closed loop)")
    return LoadPlan(
        "closed" if concurrency is not None else (arrivals or "poisson"),  # type: ignore[arg-type]
        _seconds(duration),
        rate=rate,
        concurrency=concurrency,
        max_requests=MAX_REQUESTS if max_requests is None else max_requests,
        **size,
    )


def _seconds(duration: str) -> float:
    from guard.api.fields import seconds

    try:
        return seconds(duration if duration[-1:].isalpha() else f"{duration}s")
    except ValueError as error:
        raise click.UsageError(f"--duration {duration}: expected seconds, or such as 90s or 5m") from error


def _check_folder(out: Path) -> None:
    from guard.adapters.artifacts import check_replaceable

    check_replaceable(out)
    folder = out.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise click.UsageError(f"--out {out}: there is no folder {folder} that can be written")


def _check_served(endpoint: "Endpoint", model: str) -> None:
    """One call before the load: a dead endpoint or a wrong name would only make a file of errors."""
    from guard.adapters.chat import ChatClient
    from guard.adapters.endpoint import Timeouts
    from guard.adapters.runtimes import served_models
    from guard.errors import NotFoundError

    with ChatClient(endpoint, timeouts=Timeouts(read=10.0)) as client:
        served = [found.id for found in served_models(client)]
    if served and model not in served:
        names = ", ".join(repr(name) for name in served)
        raise NotFoundError(f"{endpoint.url} does not serve {model!r}; it serves {names}")


def _run(plan: "LoadPlan", **arms: Any) -> "tuple[LoadResult, bool]":
    from guard.cli.load_view import ProgressLine
    from guard.load.run import LoadInterrupted, run_load

    line = ProgressLine(plan.duration_seconds)
    with _sigterm_interrupts():
        try:
            return run_load(plan, **arms, on_progress=line), False
        except LoadInterrupted as interrupt:
            return interrupt.result, True
        finally:
            line.close()


@contextlib.contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """A pipeline that cancels sends SIGTERM: then, too, what was measured is written."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _faults(result: "LoadResult", client: "Check", interrupted: bool) -> list[str]:
    """Why this is no measurement; empty when it is one."""
    from guard.core.samples import Outcome
    from guard.core.verdict import Verdict

    found = [
        "interrupted: this is what was measured until then" if interrupted else None,
        result.error,
        client.reason if client.verdict is Verdict.ERROR else None,
        None if any(s.outcome is Outcome.OK for s in result.samples) else "no request ended well",
    ]
    return [fault for fault in found if fault]


def _show(
    result: "LoadResult",
    client: "Check",
    limits: dict[str, float],
    out: Path,
    faults: list[str],
    as_json: bool,
) -> None:
    from guard.cli.load_view import block
    from guard.core.latency import summarise
    from guard.core.samples import Arm

    urls = {Arm(arm): url for arm, url in result.metadata["urls"].items()}
    summaries = {arm: summarise(result.arm(arm), limits) for arm in urls}
    for arm, url in urls.items():
        click.echo(block(arm, url, summaries[arm], result.arm(arm)) + "\n", err=as_json)
    click.echo(f"client: {client.reason}\n{len(result.samples)} requests in {out}", err=as_json)
    for fault in faults:
        click.echo(f"tidegate: {fault}", err=True)
    if as_json:
        document = {
            "requests_file": str(out),
            "faults": faults,
            "client": client.to_json(),
            "arms": {arm.value: summary.to_json() for arm, summary in summaries.items()},
            "urls": result.metadata["urls"],
            "plan": result.metadata["plan"],
        }
        click.echo(json.dumps(document, indent=2, allow_nan=False))
