"""`tidegate guard`: the daemon."""

import click

from guard.cli.kube import cluster_options, connect, need_crds


@click.command("guard")
@cluster_options
@click.option(
    "--artifacts",
    metavar="DIR",
    default=".tidegate/artifacts",
    show_default=True,
    help="Where the evidence of each Change is written.",
)
@click.option(
    "--identity",
    metavar="NAME",
    envvar="POD_NAME",
    help="This replica's name in the Lease, before a random part; default $POD_NAME, then the host's name.",
)
def command(
    namespace: str, context: str | None, kubeconfig: str | None, artifacts: str, identity: str | None
) -> None:
    """Watch Guards and Changes in one namespace; judge each Change, move its weight, roll it back.

    \b
    Example:
      tidegate guard -n inference --artifacts /var/lib/tidegate
    """
    import logging
    import signal
    import socket
    from pathlib import Path

    from guard.daemon.loop import Daemon
    from reports.bundle import render_all

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line a probe says nothing
    client = connect(kubeconfig, context)
    need_crds(client)
    daemon = Daemon(client, namespace, identity or socket.gethostname(), Path(artifacts), render_all)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stop())
    daemon.run()
