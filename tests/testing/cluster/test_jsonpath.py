"""The JSONPath of printer columns."""

from typing import Any

import pytest

from guard.testing.cluster.jsonpath import find

DOCUMENT = {
    "spec": {"size": 3, "hosts": ["a", "b"], "dotted.name": "d"},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".spec.size", [3]),
        (".spec.hosts[0]", ["a"]),
        (".spec.hosts[-1]", ["b"]),
        (".spec.hosts[*]", ["a", "b"]),
        (".spec['dotted.name']", ["d"]),
        (r".spec.dotted\.name", ["d"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".spec.none.deeper", []),
        (".spec.hosts[7]", []),
    ],
)
def test_a_path_finds_its_values(path: str, expected: list[Any]) -> None:
    assert find(path, DOCUMENT) == expected


@pytest.mark.parametrize("path", [".spec.hosts[0:1]", "{.spec.size}", "spec"])
def test_a_path_beyond_the_subset_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="cannot read JSONPath"):
        find(path, DOCUMENT)
