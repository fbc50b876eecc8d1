"""`python -m stack.policy --port N --config FILE`: serve until SIGTERM; says `ready URL` when it does."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from socket import socket

import uvicorn

from stack.policy.app import make_app
from stack.policy.audit import AuditError
from stack.policy.cedar import PolicyError
from stack.policy.config import ConfigError, read_config
from stack.policy.gateway import Gateway


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            print(f"ready http://{host}:{port}", flush=True)


def main(arguments: Sequence[str]) -> int:
    """2: the configuration, the policies or the audit record cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m stack.policy", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8460, help="0: any free one")
    options = parser.parse_args(arguments)
    try:
        config = read_config(options.config)
        gateway = Gateway(config)
    except (ConfigError, AuditError, PolicyError) as error:
        print(error, file=sys.stderr)
        return 2
    if config.weak_to or config.deny_all:
        weak = ", ".join(sorted(config.weak_to)) or "denies everything"
        print(f"NOT A GATEWAY TO USE: deliberately broken for tests: {weak}", file=sys.stderr, flush=True)
    settings = uvicorn.Config(
        make_app(gateway), options.host, options.port, log_level="warning", access_log=False, lifespan="off"
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises it again when it has ended: that is no fault
    try:
        _Server(settings).run()
    finally:
        gateway.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
