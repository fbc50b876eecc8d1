"""What one gate run will do, decided and refused before anything is sent or started.

Owns the choice of suites, their order and their time limits.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from guard.adapters.config_file import read_suites_config
from guard.adapters.endpoint import Endpoint
from guard.adapters.endpoint_options import read_api_key, read_endpoint
from guard.adapters.policy.gateway import read_tokens
from guard.api.fields import seconds
from guard.api.suites import (
    EvalSuite,
    GateSuite,
    LoadSuite,
    PolicySuite,
    PromotionPolicy,
    SmokeSuite,
    SuitesConfig,
)
from guard.core.fingerprint import EXPECTED_BY_DEFAULT, Fingerprint, confounders
from guard.core.samples import Arm
from guard.errors import ConfigurationError

ORDER = ("smoke", "eval", "load", "policy")  # cheap first; a dead endpoint must not cost minutes of load
_DEFAULTS: dict[str, GateSuite] = {
    "smoke": SmokeSuite(name="smoke"),
    "eval": EvalSuite(name="eval"),
    "load": LoadSuite(name="load"),
    "policy": PolicySuite(name="policy"),
}
_SMOKE_REQUESTS = 15  # its `timeout` is one request's; it sends about so many


@dataclass(frozen=True)
class Wishes:
    """What the command line says; None where it says nothing."""

    candidate: str
    baseline: str | None = None
    suites: Sequence[str] | None = None
    model: str | None = None
    config_file: Path | None = None
    api_key_env: str | None = None
    ca_file: str | None = None
    policy: PromotionPolicy | None = None
    expect_change: Sequence[str] = ()
    policy_gateway: str | None = None


@dataclass(frozen=True)
class Plan:
    """What will run. `config` holds just the suites that run, in order, with every default."""

    candidate: Endpoint
    baseline: Endpoint | None
    model: str | None
    config: SuitesConfig
    expected: frozenset[str]
    api_key_env: str | None
    ca_file: str | None
    dataset: Path | None  # own eval items
    policy_gateway: Endpoint | None = None


def make_plan(wishes: Wishes) -> Plan:
    """Raises ConfigurationError naming the option or the path in the file, and what would be valid."""
    config = read_suites_config(wishes.config_file)
    chosen = _chosen(config, wishes.suites, wishes.policy_gateway is not None)
    named = tuple(wishes.expect_change) or config.expect_change
    policy = wishes.policy or config.policy
    access = {"api_key": read_api_key(wishes.api_key_env), "ca_file": wishes.ca_file}
    baseline = wishes.baseline
    return Plan(
        read_endpoint("--candidate", wishes.candidate, Arm.CANARY, **access),
        None if baseline is None else read_endpoint("--baseline", baseline, Arm.BASELINE, **access),
        wishes.model,
        config.model_copy(update={"suites": chosen, "policy": policy, "expect_change": named}),
        _expected(named),
        wishes.api_key_env,
        wishes.ca_file,
        _dataset(chosen, wishes.config_file),
        _policy_gateway(wishes, chosen),
    )


def without_credentials(text: str) -> str:
    """The text with `user:password@` blotted out: a refused URL is still written down."""
    return re.sub(r"[^\s/@:]*:[^\s/@]*@", "[redacted]@", text)


def limit_seconds(suite: GateSuite) -> float:
    """How long the suite's process may take before it is stopped, which is ERROR."""
    return seconds(suite.timeout) * (_SMOKE_REQUESTS if suite.name == "smoke" else 1)


def _chosen(config: SuitesConfig, names: Sequence[str] | None, has_gateway: bool) -> tuple[GateSuite, ...]:
    """Those named, else the file's or the default ones; a gateway that is named is judged, too."""
    configured: dict[str, GateSuite] = {suite.name: suite for suite in config.suites}
    wanted = [*configured, *(["policy"] if has_gateway else [])] if names is None else list(names)
    for name in wanted:
        _refuse_unknown(name)
    if not wanted:
        raise ConfigurationError("no suite to run: name one with --suite or in the file's `suites`")
    return tuple(configured.get(name, _DEFAULTS[name]) for name in ORDER if name in wanted)


def _refuse_unknown(name: str) -> None:
    if name not in ORDER:
        near = difflib.get_close_matches(name, ORDER, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"available: {', '.join(ORDER)}"
        raise ConfigurationError(f"--suite {name!r}: no such suite; {hint}")


def _expected(named: Sequence[str] | None) -> frozenset[str]:
    expected = EXPECTED_BY_DEFAULT if named is None else frozenset(named)
    confounders(Fingerprint(), Fingerprint(), expected)  # refuses a field that is none
    return expected


def _policy_gateway(wishes: Wishes, chosen: Sequence[GateSuite]) -> Endpoint | None:
    if not any(suite.name == "policy" for suite in chosen):
        return None
    if wishes.policy_gateway is None:
        raise ConfigurationError("--suite policy: name the gateway that it judges with --policy-gateway URL")
    read_tokens()
    return read_endpoint("--policy-gateway", wishes.policy_gateway, ca_file=wishes.ca_file)


def _dataset(suites: Sequence[GateSuite], config_file: Path | None) -> Path | None:
    """Own items, relative to the file that names them."""
    for suite in suites:
        if isinstance(suite, EvalSuite) and suite.dataset is not None:
            if suite.dataset.file is None or config_file is None:
                raise ConfigurationError(
                    "suites: eval: dataset.configMap: only a guard in a cluster reads it; use dataset.file"
                )
            path = config_file.parent / suite.dataset.file
            if not path.is_file():
                raise ConfigurationError(f"--config {config_file}: dataset.file: {path}: no such file")
            return path
    return None
