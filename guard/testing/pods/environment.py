"""A container's environment, and `$(NAME)` in its command and arguments, by Kubernetes' rules.

Pure but for the two look-ups it is given. A field that it does not know is an error by name, never an empty
string: a pod with such a field waits, as on a real node.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from guard.adapters.kubernetes.client import Object
from guard.errors import ConfigurationError, NotFoundError

# kind ("ConfigMap" | "Secret") and name -> the object; raises NotFoundError.
Lookup = Callable[[str, str], Object]

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")
_KEYED = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` becomes its value, or stays when there is none; `$$` becomes `$`."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return "$" if name is None else variables.get(name, found[0])

    return _REFERENCE.sub(value, text)


def environment(
    container: Mapping[str, Any], pod: Object, lookup: Lookup, base: Mapping[str, str]
) -> dict[str, str]:
    """`base`, then envFrom, then env, each able to use what came before; `base` wins over equal names.

    Raises:
        ConfigurationError: A reference that cannot be resolved, or a source that is not supported.
    """
    variables = dict(base)
    for source in container.get("envFrom") or []:
        variables |= _all_of(source, lookup)
    for entry in container.get("env") or []:
        value = _value(entry, pod, lookup, {**variables, **base})
        if value is not None:
            variables[entry["name"]] = value
    return variables | dict(base)


def data_of(kind: str, item: Object) -> dict[str, bytes]:
    """The contents of a ConfigMap or Secret."""
    if kind == "Secret":
        return {name: base64.b64decode(text) for name, text in (item.get("data") or {}).items()}
    plain = {name: text.encode() for name, text in (item.get("data") or {}).items()}
    return plain | {name: base64.b64decode(text) for name, text in (item.get("binaryData") or {}).items()}


def field_of(pod: Object, path: str) -> str:
    """A downward API field, `status.podIP` say."""
    if keyed := _KEYED.fullmatch(path):
        return str((pod["metadata"].get(keyed[1]) or {}).get(keyed[2], ""))
    if path not in _FIELDS:
        raise ConfigurationError(f"fieldRef {path!r} is not supported; known: {', '.join(sorted(_FIELDS))}")
    part, name = path.split(".")
    return str((pod.get(part) or {}).get(name, "")) or ("default" if name == "serviceAccountName" else "")


_FIELDS = {
    *("metadata.name", "metadata.namespace", "metadata.uid"),
    *("spec.nodeName", "spec.serviceAccountName", "status.podIP", "status.hostIP"),
}


def _all_of(source: Mapping[str, Any], lookup: Lookup) -> dict[str, str]:
    prefix = source.get("prefix", "")
    for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        if reference := source.get(field):
            item = _find(kind, reference, lookup)
            return {prefix + name: data.decode() for name, data in item.items()}
    return {}


def _value(entry: Mapping[str, Any], pod: Object, lookup: Lookup, variables: Mapping[str, str]) -> str | None:
    """One variable's value; None for an optional reference to nothing."""
    source = entry.get("valueFrom")
    if not source:
        return expand(str(entry.get("value") or ""), variables)
    if field := source.get("fieldRef"):
        return field_of(pod, field["fieldPath"])
    for name, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if reference := source.get(name):
            return _key_of(kind, reference, lookup)
    raise ConfigurationError(f"env {entry['name']}: valueFrom {', '.join(source)} is not supported")


def _key_of(kind: str, reference: Mapping[str, Any], lookup: Lookup) -> str | None:
    data = _find(kind, reference, lookup)
    if reference["key"] in data:
        return data[reference["key"]].decode()
    if reference.get("optional"):
        return None
    raise ConfigurationError(f"couldn't find key {reference['key']} in {kind} {reference['name']}")


def _find(kind: str, reference: Mapping[str, Any], lookup: Lookup) -> dict[str, bytes]:
    try:
        return data_of(kind, lookup(kind, reference["name"]))
    except NotFoundError as error:
        if reference.get("optional"):
            return {}
        raise ConfigurationError(f"{kind} {reference['name']!r} not found") from error


def command_line(
    container: Mapping[str, Any], variables: Mapping[str, str], rewrite: Callable[[str], str] = str
) -> Sequence[str]:
    """command + args, expanded.

    Raises:
        ConfigurationError: No command: a prefix has no entrypoint of its own.
    """
    if not container.get("command"):
        raise ConfigurationError(
            f"container {container['name']!r} has no command; a local image has no entrypoint, so give one"
        )
    words = [*container["command"], *(container.get("args") or [])]
    return [rewrite(expand(str(word), variables)) for word in words]
