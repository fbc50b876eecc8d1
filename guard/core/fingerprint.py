"""What made the samples: the facts that must match before two arms may be compared (DESIGN section 6).

Owns the fields, and which differences confound a comparison. Refuses to know where a fact was read; None
means unknown, on disk `null`, and is named but never confounding.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from guard.errors import ConfigurationError


@dataclass(frozen=True)
class Fingerprint:
    """Facts of one arm; None is unknown. Digests and checksums carry their algorithm: `sha256:...`."""

    image_digest: str | None = None
    runtime: str | None = None  # vLLM, llama.cpp, Ollama, OpenAI
    runtime_version: str | None = None
    model: str | None = None  # the id that is asked for
    artifact_checksum: str | None = None
    engine_arguments: str | None = None
    chat_template: str | None = None
    adapter: str | None = None
    quantisation: str | None = None  # or dtype
    accelerator: str | None = None
    suite_version: str | None = None
    dataset: str | None = None
    replicas: int | None = None  # recorded, never compared

    def unknown(self) -> list[str]:
        """Names of the compared fields that are not known."""
        return [name for name in COMPARED_FIELDS if getattr(self, name) is None]

    def to_json(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        return cls(**document)


COMPARED_FIELDS = tuple(field.name for field in fields(Fingerprint) if field.name != "replicas")

# What a change of image, model or arguments may alter: not the machine, nor what asks and grades.
EXPECTED_BY_DEFAULT = frozenset(COMPARED_FIELDS) - {"accelerator", "suite_version", "dataset"}


def confounders(
    baseline: Fingerprint, candidate: Fingerprint, expected: Iterable[str] = EXPECTED_BY_DEFAULT
) -> list[str]:
    """Fields that differ although the change does not say so: a comparison across them is refused.

    Args:
        expected: Fields that follow from what is being changed.
    Returns:
        Field names in the fingerprint's order; a field unknown on either side is not among them.
    Raises:
        ConfigurationError: `expected` names no field of a fingerprint.
    """
    allowed = set(expected)
    if strange := sorted(allowed - set(COMPARED_FIELDS)):
        valid = ", ".join(COMPARED_FIELDS)
        raise ConfigurationError(f"expected change {', '.join(strange)}: valid fields: {valid}")
    return [
        name
        for name in COMPARED_FIELDS
        if name not in allowed and _differ(getattr(baseline, name), getattr(candidate, name))
    ]


def _differ(one: object, other: object) -> bool:
    return one is not None and other is not None and one != other
