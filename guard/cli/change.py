"""`tidegate change open|list|close`: what a release pipeline says to the guard."""

import click

from guard.cli.kube import cluster_options, connect, need_crds


@click.group("change")
def command() -> None:
    """Open, list and close Changes.

    \b
    Example, after `kubectl apply -f canary.yaml`:
      tidegate change open -n inference --guard chat --ticket OPS-1234
      kubectl wait -n inference --for=condition=Finished --timeout=1h change/ops-1234
    """


@command.command("open")
@cluster_options
@click.option("--guard", "guard_name", metavar="NAME", required=True, help="The Guard of the target.")
@click.option("--ticket", metavar="ID", required=True, help="Change ID in your ticket system.")
@click.option("--risk", type=click.Choice(["R0", "R1", "R2", "R3"]), default="R1", show_default=True)
@click.option("--requested-by", metavar="WHO", envvar="USER", default="unknown", help="Default: $USER.")
@click.option("--name", metavar="NAME", help="Of the Change; default: the ticket in lower case.")
@click.option(
    "--timeout", metavar="DURATION", default="60s", show_default=True, help="To see the canary's template."
)
def open_(
    namespace: str,
    context: str | None,
    kubeconfig: str | None,
    guard_name: str,
    ticket: str,
    risk: str,
    requested_by: str,
    name: str | None,
    timeout: str,
) -> None:
    """Freeze the plan of the canary that has just been applied, and let the guard begin.

    Prints `change/NAME`.
    """
    from guard.adapters.kubernetes.client import CHANGES
    from guard.adapters.opening import change_document, change_name, freeze_plan
    from guard.api.fields import seconds

    client = connect(kubeconfig, context)
    need_crds(client)
    plan = freeze_plan(client, namespace, guard_name, seconds(timeout))
    document = change_document(name or change_name(ticket), guard_name, ticket, risk, requested_by, plan)
    client.create(CHANGES, namespace, document)
    click.echo(f"change/{document['metadata']['name']}")


@command.command("list")
@cluster_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_(namespace: str, context: str | None, kubeconfig: str | None, as_json: bool) -> None:
    """Show the Changes of a namespace, newest first."""
    import json

    from guard.adapters.kubernetes.client import CHANGES

    client = connect(kubeconfig, context)
    need_crds(client)
    changes = client.list(CHANGES, namespace)["items"]
    changes.sort(key=lambda change: str(change["metadata"]["creationTimestamp"]), reverse=True)
    if as_json:
        click.echo(json.dumps(changes))
        return
    if not changes:
        click.echo(f"No changes in namespace {namespace}.", err=True)
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


@command.command("close")
@cluster_options
@click.argument("name")
def close(namespace: str, context: str | None, kubeconfig: str | None, name: str) -> None:
    """End a Change as Abandoned: traffic returns to the stable, and nothing counts as failed."""
    from guard.adapters.kubernetes.client import CHANGES

    client = connect(kubeconfig, context)
    need_crds(client)
    client.patch_merge(CHANGES, namespace, name, {"spec": {"action": "Close"}})
    click.echo(f"change/{name} closing")
