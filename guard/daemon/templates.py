"""What differs between two pod templates, field by field: what a change says, and what confounds it.

Refuses to know which fields matter to a model; the labels are left out, because they are how a pod belongs
to its workload.
"""

from collections.abc import Mapping
from typing import Any

from guard.core.evidence import Difference, FieldDifference


def template_differences(
    before: Mapping[str, Any], after: Mapping[str, Any], path: str = ""
) -> list[FieldDifference]:
    """Each field that differs, as one that the change says."""
    found = []
    for key in sorted({*before, *after}):
        here = f"{path}.{key}" if path else key
        if here == "metadata.labels":
            continue
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += template_differences(old, new, here)
        elif _mappings(old) and _mappings(new) and len(old) == len(new):  # type: ignore[arg-type]
            for i, (o, n) in enumerate(zip(old, new, strict=True)):  # type: ignore[arg-type]
                found += template_differences(o, n, f"{here}[{i}]")
        else:
            found.append(FieldDifference(here, _text(old), _text(new), Difference.EXPECTED))
    return found


def _mappings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _text(value: object) -> str | None:
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return None if value is None else str(value)
