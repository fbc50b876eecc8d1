"""Keeps our own tests off the machine's cluster and proxies, whatever the shell that started them has set.

A test names the kubeconfig of its own double; what it forgets to name must fail here, and not reach someone's
cluster. Proxies would take requests to loopback elsewhere. Suites that judge something (`--candidate`,
`--policy-gateway`) keep the environment as it is: there it belongs to the user.
"""

import os

import pytest

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def pytest_configure(config: pytest.Config) -> None:
    judged = ("--candidate", "--policy-gateway")
    if any(config.getoption(option, default=None) is not None for option in judged):
        return
    for name in (*_PROXIES, *map(str.upper, _PROXIES), "KUBERNETES_SERVICE_HOST"):
        os.environ.pop(name, None)
    os.environ["KUBECONFIG"] = os.devnull  # not unset: then ~/.kube/config would be read
