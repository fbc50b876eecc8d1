"""The building blocks of every document: strict models, durations, percentages, quantiles, and refusals.

No floats in a document: `800ms`, `"0.5%"` and `p99.9` are strings with a pattern, so that every language's
YAML library reads the same number.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from guard.errors import ConfigurationError

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

DURATION_PATTERN = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$"
PERCENTAGE_PATTERN = r"^[0-9]+(\.[0-9]+)?%$"
QUANTILE_PATTERN = r"^p[0-9]{1,2}(\.[0-9]+)?$"

Duration = Annotated[str, Field(pattern=DURATION_PATTERN, examples=["800ms", "5m"])]
Percentage = Annotated[str, Field(pattern=PERCENTAGE_PATTERN, examples=["0.5%"])]
Quantile = Annotated[str, Field(pattern=QUANTILE_PATTERN, examples=["p95", "p99.9"])]


Whole = Annotated[int, Field(strict=True)]  # pydantic would read true, 8000.0 and "8000" as numbers
Count = Annotated[Whole, Field(ge=0)]


class Strict(BaseModel):
    """A document part: camelCase keys, immutable, no key that it does not know."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    def to_document(self) -> dict[str, Any]:
        """The same document with every default written out, keys as users write them."""
        return self.model_dump(by_alias=True, mode="json", exclude_none=True)


def seconds(duration: str) -> float:
    """`800ms` -> 0.8. Raises ValueError when it is not a duration."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", duration)
    if not match:
        raise ValueError(f"{duration!r} is not a duration such as 800ms, 30s, 5m or 1h")
    return float(match[1]) * _UNIT_SECONDS[match[2]]


def ratio(percentage: str) -> float:
    """`0.5%` -> 0.005. Raises ValueError when it is not a percentage."""
    if not re.fullmatch(PERCENTAGE_PATTERN, percentage):
        raise ValueError(f"{percentage!r} is not a percentage such as 0.5%")
    return float(percentage[:-1]) / 100


def quantile(name: str) -> float:
    """`p99.9` -> 0.999. Raises ValueError when it is not a quantile."""
    if not re.fullmatch(QUANTILE_PATTERN, name):
        raise ValueError(f"{name!r} is not a quantile such as p95 or p99.9")
    return float(name[1:]) / 100


Document = TypeVar("Document", bound=Strict)

_WORDS = {"int_type": "expected a whole number"}


def parse(model: type[Document], document: object, where: str) -> Document:
    """Read a document, or refuse it in one line for each fault.

    Raises:
        ConfigurationError: Names `where`, the path inside it, what was expected and the nearest valid key.
    """
    if not isinstance(document, Mapping):
        raise ConfigurationError(f"{where}: expected a mapping, got {type(document).__name__}")
    try:
        # One spelling, that of the published schema; Python's own names are for Python.
        return model.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        lines = [_explain(model, item) for item in error.errors()]
        raise ConfigurationError("\n".join(f"{where}: {line}" for line in lines)) from error


def _explain(model: type[BaseModel], item: Mapping[str, Any]) -> str:
    path = ".".join(f"[{part}]" if isinstance(part, int) else str(part) for part in item["loc"])
    path = path.replace(".[", "[")
    if item["type"] != "extra_forbidden":
        got = "" if item["type"] == "missing" else f" (got {item['input']!r})"
        said = _WORDS.get(item["type"]) or item["msg"].removeprefix("Value error, ")
        return f"{path}: {said}{got}"
    valid = _keys_at(model, item["loc"][:-1])
    near = difflib.get_close_matches(str(item["loc"][-1]), valid, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(sorted(valid))}"
    return f"{path}: unknown key; {hint}"


def _keys_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Names that are valid at a path; the union of all members where a field is a union."""
    models = {model}
    for part in path:
        if isinstance(part, int):
            continue
        found = {m for owner in models for m in _models_of_field(owner, str(part))}
        models = found or models  # a union's tag stands in the path, but is no field
    return [field.alias or name for m in models for name, field in m.model_fields.items()]


def _models_of_field(owner: type[BaseModel], key: str) -> set[type[BaseModel]]:
    for name, field in owner.model_fields.items():
        if key in (name, field.alias):
            return _models_in(field.annotation)
    return set()


def _models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for part in get_args(annotation) for model in _models_in(part)}
