"""`--candidate`, `--baseline`, `--api-key-env`: the options by which every command names what it asks.

Owns their refusals, so that gate, load and the suites read one option alike.
"""

import os
from urllib.parse import urlsplit

from guard.adapters.endpoint import Endpoint
from guard.core.samples import Arm
from guard.errors import ConfigurationError


def read_endpoint(
    option: str, url: str, arm: Arm = Arm.CANARY, *, api_key: str | None = None, ca_file: str | None = None
) -> Endpoint:
    """The endpoint that an option names.

    Raises:
        ConfigurationError: Names the option; no URL, credentials in it, or a CA file that cannot be read.
    """
    try:
        parts = urlsplit(url)
        secret = parts.username is not None or parts.password is not None
        endpoint = None if secret else Endpoint.parse(url, arm, api_key=api_key, ca_file=ca_file)
    except (ConfigurationError, ValueError) as error:
        raise ConfigurationError(f"{option}: {error}") from error
    if endpoint is None:
        raise ConfigurationError(
            f"{option}: no credentials in a URL (it is written down): use --api-key-env NAME"
        )
    return endpoint


def read_api_key(variable: str | None) -> str | None:
    """The key that `--api-key-env` names; None without the option.

    Raises:
        ConfigurationError: The environment has no such variable, or it is empty.
    """
    if variable is None:
        return None
    if not (key := os.environ.get(variable)):
        raise ConfigurationError(f"--api-key-env {variable}: no such variable in the environment, or empty")
    return key
