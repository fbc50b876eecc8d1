"""The pytest plugin that turns the suites' tests into a machine-readable result.

Owns the options, and nothing else: everything heavier is imported by `suites.session` once `--candidate` or
`--policy-gateway` is given. Without them the plugin does nothing, so that it can be installed beside anyone's
own tests.
"""

from pathlib import Path

import pytest

SUITES = Path(__file__).parent

_HELP = {
    "--candidate": ("URL", "the deployment under judgement"),
    "--baseline": ("URL", "what it is compared with"),
    "--model": ("ID", "as in /v1/models (default: the only one)"),
    "--config": ("FILE", "suites and objectives (YAML)"),
    "--api-key-env": ("NAME", "variable that holds the API key"),
    "--ca-file": ("FILE", "certificates of the issuer, PEM"),
    "--tidegate-out": ("DIR", "write DIR/<suite>.json and the raw data"),
    "--policy-gateway": ("URL", "the policy gateway that suites/policy judges"),
}
# Attribute of the option namespace: `tidegate_api_key_env`, `tidegate_out`.
_OPTIONS = {
    option: "tidegate_" + option.strip("-").removeprefix("tidegate-").replace("-", "_") for option in _HELP
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tidegate", "Tidegate: judge a model server")
    add = group.addoption
    for option, (metavar, meaning) in _HELP.items():
        add(option, dest=_OPTIONS[option], metavar=metavar, help=meaning)


def pytest_configure(config: pytest.Config) -> None:
    if _judges(config):
        from suites.session import start

        start(config)
        return
    for option, name in _OPTIONS.items():
        if config.getoption(name) is not None:
            raise pytest.UsageError(f"{option} needs --candidate URL")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    suites = {item.path.parent.name for item in items if SUITES in item.path.parents}
    if "policy" in suites and config.getoption("tidegate_policy_gateway") is None:
        raise pytest.UsageError("suites/policy judges a policy gateway: name it with --policy-gateway URL")
    if suites - {"policy"} and config.getoption("tidegate_candidate") is None:
        raise pytest.UsageError("the suites judge a deployment: name it with --candidate URL")


def _judges(config: pytest.Config) -> bool:
    return any(config.getoption(f"tidegate_{name}") is not None for name in ("candidate", "policy_gateway"))
