"""The Protocol Buffers of `kubectl create`, without kubectl."""

import pytest

from guard.testing.cluster.protobuf import decode


def _bytes(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2, len(value)]) + value


def _int(number: int, value: int) -> bytes:
    return bytes([number << 3, value])


def _envelope(kind: str, raw: bytes) -> bytes:
    return b"k8s\x00" + _bytes(1, _bytes(1, b"v1") + _bytes(2, kind.encode())) + _bytes(2, raw)


def test_an_object_is_read_by_its_field_numbers() -> None:
    label = _bytes(1, b"tier") + _bytes(2, b"web")
    fields = _bytes(1, b"a") + _int(7, 0) + _bytes(8, b"") + _bytes(11, label)
    entry = _bytes(1, b"key") + _bytes(2, b"value")
    assert decode(_envelope("Secret", _bytes(1, fields) + _bytes(2, entry))) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "a", "labels": {"tier": "web"}},
        "data": {"key": "dmFsdWU="},
    }


def test_a_zero_that_was_said_is_kept() -> None:
    assert decode(_envelope("Deployment", _bytes(2, _int(1, 0))))["spec"] == {"replicas": 0}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{}", "not a Kubernetes protobuf message"),
        (_envelope("Node", b""), "Node is read as JSON or YAML only"),
        (_envelope("Secret", b"")[:-4], "cut short"),
        (b"k8s\x00\x0a", "cut short"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(data)
