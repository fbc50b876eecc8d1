"""`python -m guard.testing cluster`: FakeCluster from a shell, until SIGTERM or SIGINT."""

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from guard.adapters.termination import Termination
from guard.errors import TidegateError
from guard.testing.cluster.manifests import load
from guard.testing.cluster.server import FakeCluster


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m guard.testing cluster", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--write-kubeconfig", type=Path, metavar="FILE")
    parser.add_argument(
        "--apply", type=Path, metavar="PATH", action="append", default=[], help="file or folder"
    )
    parser.add_argument("--gateway-api", action="store_true", help="serve the Gateway API's kinds")
    parser.add_argument(
        "--real-api",
        type=Path,
        metavar="DIR",
        help="custom groups, the Gateway API's among them, by Kubernetes' own API machinery; logs go to DIR",
    )
    return parser.parse_args(arguments)


def _machinery(cluster: FakeCluster, options: argparse.Namespace) -> AbstractContextManager[object]:
    if options.real_api is None:
        return nullcontext()
    from guard.testing.apiserver.behind import machinery_behind

    return machinery_behind(cluster, options.real_api, options.host)


def command(arguments: list[str]) -> int:
    """Serve; says the URL and then `ready` on stdout. 0 after a signal, 1 when it cannot start."""
    options = _arguments(arguments)
    termination = Termination()
    try:
        with FakeCluster.serve(options.port, options.host) as cluster, _machinery(cluster, options):
            cluster.apply(load(options.apply))
            if options.gateway_api and not options.real_api:
                cluster.register_gateway_api()
            if options.write_kubeconfig:
                cluster.write_kubeconfig(options.write_kubeconfig)
            print(cluster.url, flush=True)
            print("ready", flush=True)
            termination.wait()
    except (OSError, ValueError, TidegateError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
