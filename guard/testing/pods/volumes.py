"""A pod's volumes as folders, and where its containers find them.

The rule: processes share the host's files, so a volume mounted at /etc/x is the folder `$(POD_ROOT)/etc/x`.
POD_ROOT is the container's own root under the pod's folder. A manifest that must also run on a real cluster
declares `POD_ROOT` with an empty value, which LocalPods overrides, and says `$(POD_ROOT)/etc/x`.
emptyDir, configMap and secret are known; anything else is an error by name.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from guard.adapters.kubernetes.client import Object
from guard.errors import ConfigurationError, NotFoundError
from guard.testing.pods.environment import Lookup, data_of


def make_volumes(pod: Object, directory: Path, lookup: Lookup) -> dict[str, Path]:
    """Make every volume of the pod afresh under `directory`; returns name -> folder.

    Raises:
        ConfigurationError: A source is unknown, or its ConfigMap or Secret is not there.
    """
    folders = {}
    for volume in pod["spec"].get("volumes") or []:
        folder = directory / "volumes" / volume["name"]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _fill(volume, folder, lookup)
        folders[volume["name"]] = folder
    return folders


def _fill(volume: Mapping[str, Any], folder: Path, lookup: Lookup) -> None:
    if "emptyDir" in volume:
        return
    for field, kind, name in (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")):
        if source := volume.get(field):
            _project(kind, source[name], source, folder, lookup)
            return
    known = "emptyDir, configMap and secret are"
    raise ConfigurationError(f"volume {volume['name']!r}: only {known} supported locally")


def _project(kind: str, name: str, source: Mapping[str, Any], folder: Path, lookup: Lookup) -> None:
    try:
        data = data_of(kind, lookup(kind, name))
    except NotFoundError as error:
        if source.get("optional"):
            return
        raise ConfigurationError(f"{kind} {name!r} not found") from error
    paths = {item["key"]: item["path"] for item in source.get("items") or []} or {n: n for n in data}
    for item, path in paths.items():
        if item not in data:
            raise ConfigurationError(f"{kind} {name!r} has no key {item!r}")
        target = _inside(folder, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data[item])
        target.chmod(0o600 if kind == "Secret" else 0o644)


def mount_volumes(container: Mapping[str, Any], root: Path, folders: Mapping[str, Path]) -> None:
    """Link each volume into the container's root at its mountPath."""
    for mount in container.get("volumeMounts") or []:
        if mount["name"] not in folders:
            raise ConfigurationError(f"volumeMounts names {mount['name']!r}, which is no volume of the pod")
        source = _inside(folders[mount["name"]], mount.get("subPath") or ".")
        target = _inside(root, mount["mountPath"].lstrip("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(source)


def _inside(folder: Path, path: str) -> Path:
    """`folder / path`, which may not lead out of the folder."""
    target = folder / path
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ConfigurationError(f"path {path!r} leads out of its volume")
    return target
