"""`tidegate doctor`: what keeps a guard from working, and what to do about it."""

import json
import os
from typing import TYPE_CHECKING, Any

import click

from guard.cli.kube import cluster_options, connect

if TYPE_CHECKING:
    from guard.doctor.finding import Finding

_COLOURS = {"OK": "green", "WARNING": "yellow", "UNKNOWN": "yellow", "PROBLEM": "red"}


@click.command("doctor")
@cluster_options
@click.option("--as", "impersonate", metavar="USER",
              help="Ask as this user, such as system:serviceaccount:NAMESPACE:tidegate-guard.")  # fmt: skip
@click.option(
    "--guard", "guard_name", metavar="NAME", help="Only this Guard. [default: all of the namespace]"
)
@click.option("--artifacts", metavar="DIR", default=".tidegate/artifacts", show_default=True,
              help="The guard's evidence folder.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(
    namespace: str,
    context: str | None,
    kubeconfig: str | None,
    impersonate: str | None,
    guard_name: str | None,
    artifacts: str,
    as_json: bool,
) -> int:
    """Look at everything that a guard needs, and say what to do about what is missing.

    Changes nothing. Exit code: 0 the guard can work, 1 something keeps it from working, 3 it could not be
    looked at.

    \b
    Example, as the guard itself:
      tidegate doctor -n inference --as system:serviceaccount:inference:tidegate-guard
    """
    from pathlib import Path

    from guard.doctor.finding import Finding, problem
    from guard.doctor.run import examine, exit_code
    from guard.errors import TidegateError

    found: list[Finding] = []
    try:
        client = connect(kubeconfig, context, impersonate)
        for finding in examine(client, namespace, guard_name, Path(artifacts)):
            found.append(finding)
            _show(finding, as_json)
        code = exit_code(found)
    except TidegateError as error:
        found.append(problem("api", str(error), "is KUBECONFIG the right one, is the API server up?"))
        _show(found[-1], as_json)
        code = 3
    _end(found, code, as_json, {"namespace": namespace, "guard": guard_name, "as": impersonate})
    return code


def _show(finding: "Finding", as_json: bool) -> None:
    level = click.style(f"{finding.level:8}", fg=_COLOURS[finding.level])
    remedy = f". Remedy: {finding.remedy}" if finding.remedy else ""
    # click itself drops the colour where the stream is no terminal
    click.echo(f"{level} {finding.subject}: {finding.message}{remedy}", err=as_json, color=_colour())


def _colour() -> bool | None:
    return False if os.environ.get("NO_COLOR") else None


def _end(found: "list[Finding]", code: int, as_json: bool, asked: dict[str, Any]) -> None:
    if as_json:
        document = {**asked, "exitCode": code, "findings": [finding.to_json() for finding in found]}
        click.echo(json.dumps(document, indent=2))
        return
    counts = [sum(finding.level == level for finding in found) for level in ("PROBLEM", "WARNING", "UNKNOWN")]
    click.echo("{} problems, {} warnings, {} unknown".format(*counts))
