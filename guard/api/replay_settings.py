"""The settings of a recorded rollout, and what `tidegate replay --set` may change of them.

Owns their names, which are the Guard's where the Guard has them: a copy of a whole Guard is read, too, and
only what decides is taken of it.

```json
{"alpha": 0.009, "promotion": {"policy": "NoHarmFound"}, "minRequests": 200, "warmUp": "180s",
 "objectives": [{"signal": "ttft", "quantile": "p95", "limit": "750ms"}]}
```
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field

from guard.api.fields import Count, Duration, Strict, parse, seconds
from guard.api.guard import GuardSpec, Promotion, Step
from guard.api.suites import Objective, to_core
from guard.core import rollout
from guard.core.rule import ALPHA
from guard.errors import ConfigurationError

_RULE_ALONE = ("alpha", "minRequests", "warmUp", "planned")


class ReplaySettings(Strict):
    """What decides; everything has a default.

    Attributes:
        alpha: Share of good rollouts that may be rolled back.
        min_requests: Of every step whose own entry in `steps` does not say.
        planned: How long the rollout was planned to take; the holds of `steps` where it is absent.
    """

    alpha: Annotated[float, Field(gt=0, lt=1)] = ALPHA
    promotion: Promotion = Promotion()
    objectives: tuple[Objective, ...] = ()
    min_requests: Count = rollout.MIN_REQUESTS
    steps: tuple[Step, ...] = ()
    warm_up: Duration = "180s"
    planned: Duration | None = None

    def to_core(self) -> rollout.ReplaySettings:
        holds = sum(seconds(step.hold) for step in self.steps)
        return rollout.ReplaySettings(
            alpha=self.alpha,
            policy=self.promotion.policy,
            objectives=tuple(to_core(objective) for objective in self.objectives),
            min_requests=self.min_requests,
            warm_up_seconds=seconds(self.warm_up),
            planned_seconds=seconds(self.planned) if self.planned else holds or None,
        )


def read_settings(document: object, overrides: Iterable[str] = (), where: str = "settings") -> ReplaySettings:
    """The document's settings, then each `KEY=VALUE`.

    Args:
        document: As `rollout.json` has it; None: defaults.
        overrides: Values are YAML; a dot leads into a mapping: `promotion.policy=NonInferior`.
    Raises:
        ConfigurationError: Names the key and the nearest valid one.
    """
    plain = _of_guard(document, where) if _is_guard(document) else document
    if plain is None:
        plain = {}
    read = parse(ReplaySettings, plain, where)
    for override in overrides:
        read = _overridden(read, override)
    return read


def _is_guard(document: object) -> bool:
    return isinstance(document, Mapping) and "target" in document


def _of_guard(document: Any, where: str) -> dict[str, Any]:
    alone = {key: document[key] for key in _RULE_ALONE if key in document}
    spec = parse(GuardSpec, {k: v for k, v in document.items() if k not in alone}, where).to_document()
    return {**alone, **{key: spec[key] for key in ("promotion", "objectives", "steps")}}


def _overridden(settings: ReplaySettings, override: str) -> ReplaySettings:
    import yaml

    key, equals, text = override.partition("=")
    where = f"--set {override}"
    if not equals or not key.strip():
        raise ConfigurationError(f"{where}: expected KEY=VALUE, such as alpha=0.001")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{where}: not YAML: {' '.join(str(error).split())}") from error
    document: dict[str, Any] = settings.to_document()
    if key.strip() == "policy":  # as `tidegate gate --policy` calls it
        key = "promotion.policy"
    inner, parts = document, key.strip().split(".")
    for part in parts[:-1]:
        if not isinstance(inner.setdefault(part, {}), dict):
            raise ConfigurationError(f"{where}: {part} has no parts; set it as a whole")
        inner = inner[part]
    inner[parts[-1]] = value
    if parts[-1] == "minRequests":  # for every step, also where the recorded Guard had its own
        document["steps"] = [{**step, "minRequests": value} for step in document["steps"]]
    return parse(ReplaySettings, document, where)
