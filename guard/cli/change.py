"""`tidegate change open|list|wait|close`: what a release pipeline says to the guard."""

from typing import TYPE_CHECKING

import click

from guard.cli.change_wait import TABLE
from guard.cli.kube import Duration, ask_for, cluster_options, connect, need_crds, requester

if TYPE_CHECKING:
    from guard.adapters.kubernetes.client import KubernetesClient


@click.group("change")
def command() -> None:
    """Open, list, wait for and close Changes.

    \b
    Example, after `kubectl apply -f canary.yaml`:
      tidegate change open -n inference --guard chat --ticket OPS-1234
      tidegate change wait -n inference ops-1234
    """


_OPEN_HELP = f"""Freeze the plan of the canary that has just been applied, and let the guard begin.

Prints `change/NAME`; with --wait, also what `tidegate change wait` does.

\b
Examples:
  tidegate change open -n inference --guard chat --ticket OPS-1234
  tidegate change open -n inference --guard chat --ticket OPS-1234 --wait

{TABLE}

Without --wait: 0 opened, 3 not."""


@command.command("open", help=_OPEN_HELP)
@cluster_options
@click.option("--guard", "guard_name", metavar="NAME", required=True, help="The Guard of the target.")
@click.option("--ticket", metavar="ID", required=True, help="Change ID in your ticket system.")
@click.option("--risk", type=click.Choice(["R0", "R1", "R2", "R3"]), default="R1", show_default=True)
@click.option("--requested-by", metavar="WHO", help="Default: whom the API server takes you for.")
@click.option("--name", metavar="NAME", help="Of the Change; default: the ticket in lower case.")
@click.option(
    "--timeout",
    metavar="DURATION",
    type=Duration(),
    default="60s",
    show_default=True,
    help="To see the canary's template.",
)
@click.option("--wait", is_flag=True, help="Stay until the Change is over, and exit as `change wait` does.")
@click.option(
    "--wait-timeout", metavar="DURATION", type=Duration(), default="2h", show_default=True, help="Of --wait."
)
@click.option("--json", "as_json", is_flag=True, help="With --wait: one JSON document of the end on stdout.")
def open_(
    namespace: str,
    context: str | None,
    kubeconfig: str | None,
    guard_name: str,
    ticket: str,
    risk: str,
    requested_by: str | None,
    name: str | None,
    timeout: float,
    wait: bool,
    wait_timeout: float,
    as_json: bool,
) -> int:
    from guard.adapters.kubernetes.client import CHANGES
    from guard.adapters.opening import change_document, change_name, freeze_plan
    from guard.cli.change_wait import wait_for_end
    from guard.errors import ConfigurationError, ConflictError

    if risk in ("R2", "R3"):
        raise ConfigurationError(
            f"--risk {risk} needs approvals, which this version cannot record: open it as R0 or R1 if it is "
            "one, or roll it out by hand"
        )
    client = connect(kubeconfig, context)
    need_crds(client)
    name = name or change_name(ticket)
    asker = requested_by or requester(client, kubeconfig, context)
    plan = freeze_plan(client, namespace, guard_name, timeout)
    try:
        client.create(CHANGES, namespace, change_document(name, guard_name, ticket, risk, asker, plan))
    except ConflictError as error:
        raise ConfigurationError(
            f"change/{name} already exists in namespace {namespace}: choose another --name or --ticket"
        ) from error
    click.echo(f"change/{name}", err=as_json and wait)
    return wait_for_end(client, namespace, name, wait_timeout, as_json) if wait else 0


_WAIT_HELP = f"""Follow a Change to its end: its timeline on stderr, how it ended on stdout and as exit code.

\b
Example:
  tidegate change wait -n inference ops-1234 --timeout 2h

{TABLE}"""


@command.command("wait", help=_WAIT_HELP)
@cluster_options
@click.argument("name")
@click.option("--timeout", metavar="DURATION", type=Duration(), default="2h", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def wait(
    namespace: str, context: str | None, kubeconfig: str | None, name: str, timeout: float, as_json: bool
) -> int:
    from guard.cli.change_wait import wait_for_end

    client = connect(kubeconfig, context)
    need_crds(client)
    return wait_for_end(client, namespace, name, timeout, as_json)


@command.command("list")
@cluster_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_(namespace: str, context: str | None, kubeconfig: str | None, as_json: bool) -> None:
    """Show the Changes of a namespace, newest first.

    \b
    Example:
      tidegate change list -n inference
    """
    import json

    from guard.adapters.kubernetes.client import CHANGES

    client = connect(kubeconfig, context)
    need_crds(client)
    changes = client.list(CHANGES, namespace)["items"]
    changes.sort(key=lambda change: str(change["metadata"]["creationTimestamp"]), reverse=True)
    if not changes:
        click.echo(_why_none(client, namespace), err=True)
    if as_json:
        click.echo(json.dumps(changes))
    if as_json or not changes:
        return
    rows = [("NAME", "GUARD", "PHASE", "WEIGHT", "VERDICT", "REASON")]
    for change in changes:
        status = change.get("status") or {}
        rows.append(
            (
                change["metadata"]["name"],
                change["spec"]["guard"],
                *(str(status.get(key, "")) for key in ("phase", "weight", "verdict", "reason")),
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _why_none(client: "KubernetesClient", namespace: str) -> str:
    from guard.adapters.kubernetes.client import NAMESPACES
    from guard.errors import NotFoundError, TidegateError

    try:
        client.get(NAMESPACES, None, namespace)
    except NotFoundError:
        return f"Namespace {namespace} does not exist."
    except TidegateError:  # who may list Changes need not be allowed to read namespaces
        pass
    return f"No changes in namespace {namespace}."


@command.command("close")
@cluster_options
@click.argument("name")
def close(namespace: str, context: str | None, kubeconfig: str | None, name: str) -> None:
    """End a Change as Abandoned: traffic returns to the stable, and nothing counts as failed.

    \b
    Example:
      tidegate change close -n inference ops-1234
    """
    client = connect(kubeconfig, context)
    need_crds(client)
    ask_for(client, namespace, name, "Close", requester(client, kubeconfig, context))
    click.echo(f"change/{name} closing")
