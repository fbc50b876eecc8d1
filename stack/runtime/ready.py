"""Ask a model server for one token: a runtime is started once it has generated, not when it listens.

A startup probe, run once per container start. /health alone lies (an engine can be up and die at its first
token), and a generating probe that repeats would poison the runtime's counters, so readiness afterwards is
/health. Only the standard library, so that it runs in any runtime's image with Python.

    python -m stack.runtime.ready --url http://127.0.0.1:8000 --model smollm2-135m-instruct
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any


def generate_one_token(url: str, model: str, timeout_seconds: float) -> None:
    """One chat completion of one token.

    Raises:
        OSError: No answer, or an HTTP error.
        ValueError: An answer that is no completion.
    """
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    headers = {"content-type": "application/json", "x-request-id": "tidegate-startup-probe"}
    if key := os.environ.get("RUNTIME_API_KEY"):
        headers["authorization"] = f"Bearer {key}"
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=timeout_seconds) as reply:
        answer: Any = json.load(reply)
    if not isinstance(answer, dict) or not answer.get("choices"):
        raise ValueError(f"no completion in the answer: {answer!r:.200}")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when a token was generated, 1 with one line on stderr otherwise."""
    parser = argparse.ArgumentParser(prog="python -m stack.runtime.ready", description=__doc__)
    parser.add_argument("--url", required=True, help="base URL, without /v1")
    parser.add_argument("--model", required=True)
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds")
    options = parser.parse_args(argv)
    try:
        generate_one_token(options.url.rstrip("/"), options.model, options.timeout)
    except (OSError, ValueError) as error:
        print(f"not ready: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
