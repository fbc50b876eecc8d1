"""`python -m guard.testing DOUBLE ...`: the shipped doubles, served from a shell."""

import importlib
import sys

_DOUBLES = {
    "cluster": ("guard.testing.cluster.command", "a Kubernetes API in memory"),
    "pods": ("guard.testing.pods.command", "pods as processes of this machine"),
    "runtime": ("guard.testing.runtime.command", "a model server with scripted latency and faults"),
}


def _usage() -> str:
    lines = ["usage: python -m guard.testing DOUBLE [options]", ""]
    return "\n".join(lines + [f"  {name:10} {text}" for name, (_, text) in _DOUBLES.items()])


def main(arguments: list[str]) -> int:
    """Run one double; only its own modules are imported. 2 for a wrong call."""
    if not arguments or arguments[0] not in _DOUBLES:
        asked = bool(arguments) and arguments[0] in ("-h", "--help")
        print(_usage(), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    module = importlib.import_module(_DOUBLES[arguments[0]][0])
    return int(module.command(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
