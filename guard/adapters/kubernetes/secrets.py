"""One value of a Secret, read when it is needed and kept by nobody."""

import base64

from guard.adapters.kubernetes.client import SECRETS, KubernetesClient
from guard.errors import ConfigurationError


def read_secret(client: KubernetesClient, namespace: str, name: str, key: str) -> str:
    """The text under one key.

    Raises:
        ConfigurationError: The Secret has no such key, or no text in it; never names the value.
        TidegateError: As `KubernetesClient.get`.
    """
    data = client.get(SECRETS, namespace, name).get("data") or {}
    if key not in data:
        there = ", ".join(sorted(data)) or "none"
        raise ConfigurationError(f"Secret {name} has no key {key!r}; it has {there}")
    try:
        return base64.b64decode(data[key]).decode().strip()
    except ValueError:  # not chained: a UnicodeDecodeError carries the bytes
        raise ConfigurationError(f"Secret {name}: key {key!r} holds no text") from None
