"""`python -m guard.testing runtime`: a scripted runtime for anyone's tests, from a shell."""

import argparse
import sys
from collections.abc import Sequence
from threading import Event, Thread

from guard.adapters.termination import Termination
from guard.testing.runtime.script import Fault, Script
from guard.testing.runtime.server import ScriptedRuntime


def command(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT (0), or until the script says to die (70); 2 for unusable arguments."""
    options = _parser().parse_args(argv)
    script = Script(
        model=options.model,
        ttft_seconds=options.ttft,
        itl_seconds=options.itl,
        error_ratio=options.error_ratio,
        max_model_len=options.max_model_len,
        faults=tuple(options.fault),
        seed=options.seed,
    )
    try:
        runtime = ScriptedRuntime(script, options.host, options.port)
    except OSError as error:
        print(f"{options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 2
    return _serve(runtime)


def _serve(runtime: ScriptedRuntime) -> int:
    termination, asked = Termination(), Event()

    def end() -> None:
        termination.wait()
        asked.set()
        runtime.end()

    Thread(target=end, daemon=True).start()
    runtime.start()
    print(f"ready on {runtime.url}", file=sys.stderr)
    print("ready", flush=True)
    runtime.wait()
    runtime.stop()
    return 0 if asked.is_set() else 70


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m guard.testing runtime", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, required=True)
    add("--model", required=True, help="the id in /v1/models")
    add("--ttft", type=float, default=0.0, help="seconds to the first token")
    add("--itl", type=float, default=0.0, help="seconds between tokens")
    add("--error-ratio", type=float, default=0.0, help="share of completions that are HTTP 500")
    add("--max-model-len", type=int, default=2048, help="context, in words")
    add("--fault", type=_fault, action="append", default=[], metavar="KIND@SECONDS")
    add("--seed", type=int, default=0)
    return parser


def _fault(text: str) -> Fault:
    try:
        return Fault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
