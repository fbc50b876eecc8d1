"""What a run of the suites was asked to do: the plugin's options, read once and refused by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guard.adapters.config_file import read_suites_config
from guard.adapters.endpoint import Endpoint
from guard.adapters.endpoint_options import read_api_key, read_endpoint
from guard.api.suites import SuitesConfig
from guard.core.samples import Arm
from guard.errors import ConfigurationError


@dataclass(frozen=True)
class RunOptions:
    """The arms, and what to ask of them. `model` is None when the user named none."""

    candidate: Endpoint
    baseline: Endpoint | None
    model: str | None
    config: SuitesConfig
    out: Path | None


def read_options(given: Any) -> RunOptions:
    """From pytest's option namespace.

    Raises:
        ConfigurationError: A URL, file or variable cannot be used; names the option.
    """
    if given.tidegate_policy_gateway is not None:
        raise ConfigurationError("--policy-gateway: the policy suite is not there yet")
    access = {"api_key": read_api_key(given.tidegate_api_key_env), "ca_file": given.tidegate_ca_file}
    file, out, baseline = given.tidegate_config, given.tidegate_out, given.tidegate_baseline
    return RunOptions(
        read_endpoint("--candidate", given.tidegate_candidate, Arm.CANARY, **access),
        None if baseline is None else read_endpoint("--baseline", baseline, Arm.BASELINE, **access),
        given.tidegate_model,
        read_suites_config(None if file is None else Path(file)),
        None if out is None else _writable(Path(out)),
    )


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--tidegate-out {folder}: {error.strerror or error}") from error
    return folder.resolve()
