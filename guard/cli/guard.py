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
@click.option(
    "--metrics-port", metavar="N", type=click.IntRange(0, 65535), help="Serve Prometheus metrics there."
)
@click.option(
    "--metrics-address",
    metavar="IP",
    default="127.0.0.1",
    show_default=True,
    help="In a cluster the pod's own, so that Prometheus reaches it.",
)
@click.option(
    "--environment",
    metavar="NAME",
    envvar="TIDEGATE_ENVIRONMENT",
    help="What notifications call this cluster, such as prod-eu.",
)
def command(
    namespace: str,
    context: str | None,
    kubeconfig: str | None,
    artifacts: str,
    identity: str | None,
    metrics_port: int | None,
    metrics_address: str,
    environment: str | None,
) -> None:
    """Watch Guards and Changes in one namespace; judge each Change, move its weight, roll it back.

    Runs the Guards' scheduled suites beside them, and tells Prometheus and webhooks.

    \b
    Example:
      tidegate guard -n inference --artifacts /var/lib/tidegate
    """
    import logging
    import socket
    from pathlib import Path
    from threading import Thread

    from guard.adapters.metrics import Metrics, MetricsServer
    from guard.adapters.termination import Termination
    from guard.daemon.loop import Daemon
    from guard.daemon.upkeep import Upkeep
    from guard.gate.probe import probe
    from reports.bundle import render_all

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line a probe says nothing
    client = connect(kubeconfig, context)
    need_crds(client)
    metrics, folder = Metrics(), Path(artifacts)
    upkeep = Upkeep(client, namespace, folder, probe, render_all, metrics, environment)
    daemon = Daemon(client, namespace, identity or socket.gethostname(), folder, render_all, upkeep)
    termination = Termination()

    def end() -> None:
        termination.wait()
        daemon.stop()

    Thread(target=end, daemon=True).start()
    server = None if metrics_port is None else MetricsServer(metrics, metrics_address, metrics_port)
    if server is not None:
        logging.getLogger("tidegate.guard").info("metrics on %s", server.url)
    try:
        daemon.run()
    finally:
        if server is not None:
            server.stop()
