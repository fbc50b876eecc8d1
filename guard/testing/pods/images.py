"""Images stand for environments: a prefix (a venv, say) whose `bin` comes first on PATH.

Where a kubelet pulls, this looks up; an image that nobody named is an image that cannot be pulled.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """An image that is present: its name as written in the pod, and where its programs are."""

    name: str
    prefix: Path

    @property
    def digest(self) -> str:
        """Stands for the image's digest: differs where name or prefix do, not where contents do."""
        return "sha256:" + hashlib.sha256(f"{self.name}\0{self.prefix}".encode()).hexdigest()

    def search_path(self, path: str | None = None) -> str:
        return f"{self.prefix / 'bin'}{os.pathsep}{path or os.environ.get('PATH', os.defpath)}"


def find_image(images: Mapping[str, Path], name: str) -> Image | None:
    """The image of that very name, else of that name without its tag or digest; None: it cannot be pulled."""
    repository = name.split("@", 1)[0]
    head, _, tail = repository.rpartition(":")
    untagged = head if head and "/" not in tail else repository
    for candidate in (name, repository, untagged):
        if candidate in images:
            return Image(name, images[candidate])
    return None
