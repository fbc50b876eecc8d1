"""What a run of the suites was asked to do: the plugin's options, read once and refused by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guard.adapters.config_file import read_suites_config
from guard.adapters.endpoint import Endpoint
from guard.adapters.endpoint_options import read_api_key, read_endpoint
from guard.adapters.policy.gateway import read_tokens
from guard.api.suites import SuitesConfig
from guard.core.samples import Arm
from guard.errors import ConfigurationError


@dataclass(frozen=True)
class RunOptions:
    """The arms, and what to ask of them. `model` is None when the user named none.

    With a policy gateway alone, the gateway is the candidate: it is what is judged.
    """

    candidate: Endpoint
    baseline: Endpoint | None
    model: str | None
    config: SuitesConfig
    out: Path | None
    policy_gateway: Endpoint | None = None


def read_options(given: Any) -> RunOptions:
    """From pytest's option namespace.

    Raises:
        ConfigurationError: A URL, file or variable cannot be used; names the option.
    """
    access = {"api_key": read_api_key(given.tidegate_api_key_env), "ca_file": given.tidegate_ca_file}
    file, out, baseline = given.tidegate_config, given.tidegate_out, given.tidegate_baseline
    candidate = given.tidegate_candidate
    gateway = _policy_gateway(given)
    return RunOptions(
        gateway
        if candidate is None and gateway is not None
        else read_endpoint("--candidate", candidate, Arm.CANARY, **access),
        None if baseline is None else read_endpoint("--baseline", baseline, Arm.BASELINE, **access),
        given.tidegate_model,
        read_suites_config(None if file is None else Path(file)),
        None if out is None else _writable(Path(out)),
        gateway,
    )


def _policy_gateway(given: Any) -> Endpoint | None:
    if (url := given.tidegate_policy_gateway) is None:
        return None
    read_tokens()
    return read_endpoint("--policy-gateway", url, ca_file=given.tidegate_ca_file)


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--tidegate-out {folder}: {error.strerror or error}") from error
    return folder.resolve()
