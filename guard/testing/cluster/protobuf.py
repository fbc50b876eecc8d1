"""Reads the Protocol Buffers that kubectl sends for what `kubectl create KIND` makes up from its flags.

Only those kinds: everything else that clients write comes as JSON or YAML, and answers are always JSON,
which these clients take. The numbers are those of k8s.io/api's generated.proto; the wire format is
https://protobuf.dev/programming-guides/encoding.
"""

import base64
from collections.abc import Iterator
from typing import Any

from guard.testing.cluster.objects import Json

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"

# message -> "member=number[:type]"; a plain member is a string, `[]` repeats, `?` keeps a zero (a pointer
# in Go), `map` is string to string and `bytes` string to bytes.
_MESSAGES = {
    "ObjectMeta": "name=1 generateName=2 namespace=3 labels=11:map annotations=12:map finalizers=14:[]",
    "Namespace": "metadata=1:ObjectMeta",
    "ServiceAccount": "metadata=1:ObjectMeta",
    "ConfigMap": "metadata=1:ObjectMeta data=2:map binaryData=3:bytes immutable=4:bool",
    "Secret": "metadata=1:ObjectMeta data=2:bytes type=3 stringData=4:map immutable=5:bool",
    "Deployment": "metadata=1:ObjectMeta spec=2:DeploymentSpec",
    "DeploymentSpec": "replicas=1:int? selector=2:LabelSelector template=3:PodTemplateSpec",
    "LabelSelector": "matchLabels=1:map",
    "PodTemplateSpec": "metadata=1:ObjectMeta spec=2:PodSpec",
    "PodSpec": "containers=2:[]Container restartPolicy=3",
    "Container": "name=1 image=2 command=3:[] args=4:[] ports=6:[]ContainerPort",
    "ContainerPort": "name=1 containerPort=3:int protocol=4",
    "Job": "metadata=1:ObjectMeta spec=2:JobSpec",
    "JobSpec": "parallelism=1:int? completions=2:int? template=6:PodTemplateSpec backoffLimit=7:int?",
    "Service": "metadata=1:ObjectMeta spec=2:ServiceSpec",
    "ServiceSpec": "ports=1:[]ServicePort selector=2:map clusterIP=3 type=4 externalName=10",
    "ServicePort": "name=1 protocol=2 port=3:int targetPort=4:IntOrString nodePort=5:int",
    "SelfSubjectAccessReview": "metadata=1:ObjectMeta",
    "SelfSubjectReview": "metadata=1:ObjectMeta",
}
KINDS = tuple(name for name, text in _MESSAGES.items() if text.startswith("metadata="))


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, bytes or integer) of each field."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        if key & 7 == 0:
            value, position = _varint(data, position)
            yield key >> 3, value
        elif key & 7 == 2:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise ValueError("a field is cut short")
            yield key >> 3, data[position : position + length]
            position += length
        else:
            raise ValueError(f"wire type {key & 7} is not used here")


def _int_or_string(data: bytes) -> int | str:
    found = dict(_fields(data))
    return found.get(3, b"").decode() if found.get(1) else int(found.get(2, 0))


def _value(kind: str, raw: Any) -> Any:
    if kind in ("int", "int?"):
        return raw - (1 << 64) if raw >> 63 else raw
    if kind == "bool":
        return bool(raw)
    if kind == "IntOrString":
        return _int_or_string(raw)
    return _message(kind, raw) if kind else raw.decode()


def _entry(kind: str, data: bytes) -> dict[str, str]:
    pair = dict(_fields(data))
    value = pair.get(2, b"")
    return {
        pair.get(1, b"").decode(): base64.b64encode(value).decode() if kind == "bytes" else value.decode()
    }


def _message(name: str, data: bytes) -> Json:
    rows = (row.partition("=")[::2] for row in _MESSAGES[name].split())
    members = {int(spec.partition(":")[0]): (member, spec.partition(":")[2]) for member, spec in rows}
    result: Json = {}
    for number, raw in _fields(data):
        member, kind = members.get(number, ("", ""))
        if kind in ("map", "bytes"):
            result.setdefault(member, {}).update(_entry(kind, raw))
        elif kind.startswith("[]"):
            result.setdefault(member, []).append(_value(kind[2:], raw))
        elif member:
            value = _value(kind, raw)
            if kind.endswith("?") or value not in ("", 0, {}):
                result[member] = value
    return result


def decode(data: bytes) -> Json:
    """The object in a `runtime.Unknown` envelope.

    Raises:
        ValueError: It is none, or of a kind beyond the table; says which.
    """
    if not data.startswith(_MAGIC):
        raise ValueError("not a Kubernetes protobuf message")
    try:
        envelope = dict(_fields(data[len(_MAGIC) :]))
        head = {number: raw.decode() for number, raw in _fields(envelope[1])}
        if head[2] not in KINDS:
            raise ValueError(f"{head[2]} is read as JSON or YAML only")
        return {"apiVersion": head[1], "kind": head[2]} | _message(head[2], envelope.get(2, b""))
    except (IndexError, KeyError) as error:
        raise ValueError("the message is cut short") from error
