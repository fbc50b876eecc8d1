"""Manifests from files, in an order in which they can be applied."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from guard.testing.cluster.objects import Json

_FIRST = ("CustomResourceDefinition", "Namespace")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(item for item in path.rglob("*") if item.suffix in (".yaml", ".yml", ".json"))
    return [path]


def load(paths: Iterable[Path]) -> list[Json]:
    """All documents of the files and folders, definitions and namespaces first.

    Raises:
        ValueError: A file is not YAML; names it.
        OSError: A path is not there.
    """
    documents: list[Json] = []
    for file in (file for path in paths for file in _files(path)):
        try:
            documents += [item for item in yaml.safe_load_all(file.read_text()) if item]
        except yaml.YAMLError as error:
            raise ValueError(f"{file}: {error}") from error
    order = {kind: number for number, kind in enumerate(_FIRST)}
    return sorted(documents, key=lambda item: order.get(item.get("kind", ""), len(_FIRST)))
