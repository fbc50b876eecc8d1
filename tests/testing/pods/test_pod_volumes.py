"""A pod's volumes on this machine's disk."""

import base64
from pathlib import Path
from typing import Any

import pytest

from guard.errors import ConfigurationError
from guard.testing.pods.volumes import make_volumes, mount_volumes

OBJECTS = {
    ("ConfigMap", "evals"): {"data": {"items.jsonl": "{}\n", "other": "x"}},
    ("Secret", "key"): {"data": {"token": base64.b64encode(b"s3cret").decode()}},
}


def lookup(kind: str, name: str) -> dict[str, Any]:
    return OBJECTS[kind, name]


def mounted(tmp_path: Path, source: dict[str, Any], **mount: Any) -> Path:
    """The container's root after mounting one volume at /etc/x."""
    volumes = make_volumes({"spec": {"volumes": [{"name": "v", **source}]}}, tmp_path, lookup)
    container = {"volumeMounts": [{"name": "v", "mountPath": "/etc/x", **mount}]}
    mount_volumes(container, tmp_path / "root", volumes)
    return tmp_path / "root"


def test_a_configmaps_keys_are_files_under_the_mount_path(tmp_path: Path) -> None:
    root = mounted(tmp_path, {"configMap": {"name": "evals"}})
    assert (root / "etc/x/items.jsonl").read_text() == "{}\n"


def test_a_secret_is_decoded_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    file = mounted(tmp_path, {"secret": {"secretName": "key"}}) / "etc/x/token"
    assert file.read_text() == "s3cret"
    assert file.stat().st_mode & 0o077 == 0


def test_items_choose_keys_and_paths(tmp_path: Path) -> None:
    items = [{"key": "other", "path": "deep/name"}]
    root = mounted(tmp_path, {"configMap": {"name": "evals", "items": items}})
    assert [p.name for p in (root / "etc/x").iterdir()] == ["deep"]


def test_a_sub_path_mounts_one_file(tmp_path: Path) -> None:
    root = mounted(tmp_path, {"configMap": {"name": "evals"}}, subPath="other")
    assert (root / "etc/x").read_text() == "x"


def test_containers_of_a_pod_share_an_empty_dir(tmp_path: Path) -> None:
    volumes = make_volumes({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}, tmp_path, lookup)
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/data"}]}
    for root in ("one", "two"):
        mount_volumes(mount, tmp_path / root, volumes)
    (tmp_path / "one/data/file").write_text("x")
    assert (tmp_path / "two/data/file").read_text() == "x"


@pytest.mark.parametrize(
    ("source", "mount"),
    [
        ({"hostPath": {"path": "/"}}, {}),
        ({"emptyDir": {}}, {"mountPath": "/../../outside"}),
        ({"emptyDir": {}}, {"subPath": "../outside"}),
        ({"configMap": {"name": "evals", "items": [{"key": "absent", "path": "x"}]}}, {}),
    ],
)
def test_what_cannot_be_mounted_is_refused(tmp_path: Path, source: dict, mount: dict) -> None:
    with pytest.raises(ConfigurationError):
        mounted(tmp_path, source, **mount)
