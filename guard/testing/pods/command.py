"""`python -m guard.testing pods`: LocalPods from a shell, until SIGTERM or SIGINT."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from guard.adapters.termination import Termination
from guard.errors import TidegateError
from guard.testing.pods.local_pods import DEFAULT_BACKOFF_SECONDS, LocalPods


def command(argv: Sequence[str]) -> int:
    """Run the cluster's pods; says `ready` on stdout. 0 after a signal, 1 when it cannot start."""
    options = _parser().parse_args(argv)
    termination = Termination()
    try:
        with LocalPods(
            options.kubeconfig, dict(options.image), options.root, options.addresses, options.backoff
        ):
            print("ready", flush=True)
            termination.wait()
    except (OSError, TidegateError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m guard.testing pods", description=__doc__)
    add = parser.add_argument
    add("--kubeconfig", required=True, type=Path, metavar="FILE")
    add("--image", type=_image, action="append", default=[], metavar="NAME=PREFIX", help="may be repeated")
    add("--root", required=True, type=Path, metavar="DIR", help="for the pods' files and logs")
    add("--addresses", default="127.20.0.0/16", help="the pods' addresses (default: %(default)s)")
    add("--backoff", type=float, default=DEFAULT_BACKOFF_SECONDS, help="seconds before a second restart")
    return parser


def _image(text: str) -> tuple[str, str]:
    name, equals, prefix = text.partition("=")
    if not (name and equals and prefix):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PREFIX")
    return name, prefix
