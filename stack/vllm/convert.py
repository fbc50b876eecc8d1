"""Turn the GGUF that a Python package ships into a model folder that vLLM reads. Once for each file.

vLLM serves Hugging Face folders; the one small model that comes from a package registry, not from a model
hub, is a GGUF. Owns the folder's contents and that it is never seen half written. Refuses to fetch anything.
Runs in the environment of `requirements.txt`.

    python -m stack.vllm.convert --model smollm2-135m-instruct --out .tidegate/models/smollm2-135m-instruct
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stack.runtime.llamacpp import SHIPPED_MODELS, find_model

SOURCE = "source.json"  # in the folder: what it was made of
# Part of what a folder is made of: raise it when this file writes other contents from the same GGUF.
RECIPE = 1


def source_of(gguf: Path) -> dict[str, str | int]:
    """What a folder made of this file says of its origin."""
    with gguf.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": gguf.name, "sha256": checksum, "recipe": RECIPE}


def is_made_of(folder: Path, source: dict[str, str | int]) -> bool:
    """Whether the folder is there, whole, and made of that source."""
    try:
        found = json.loads((folder / SOURCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(found == source)


def convert(gguf: Path, folder: Path) -> bool:
    """Make the folder, whole or not at all; two at once do no harm.

    Returns:
        False when it was there already.
    """
    source = source_of(gguf)
    if is_made_of(folder, source):
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        made = Path(temporary, "new")
        _write_model(gguf, made)
        (made / SOURCE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
        _put(made, folder, Path(temporary, "old"))
    return True


def _put(made: Path, folder: Path, aside: Path) -> None:
    """Rename into place. A folder cannot replace a folder that is not empty: that one steps aside first."""
    if folder.exists():
        folder.rename(aside)
    made.rename(folder)


def _write_model(gguf: Path, folder: Path) -> None:
    """Weights, configuration, tokenizer and chat template, all from the GGUF."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # read at the import below
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, or 2 with one line on stderr for a model that is not there."""
    parser = argparse.ArgumentParser(prog="python -m stack.vllm.convert", description=__doc__)
    parser.add_argument("--model", required=True, help=f"GGUF file, or one of {', '.join(SHIPPED_MODELS)}")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="the folder to make")
    options = parser.parse_args(argv)
    try:
        made = convert(find_model(options.model), options.out)
    except OSError as error:
        print(f"convert: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: {'made' if made else 'is there already'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
