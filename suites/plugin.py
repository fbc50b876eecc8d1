"""The pytest plugin that turns the suites' tests into a machine-readable result.

Owns the options, and nothing else: everything heavier is imported by `suites.session` once `--candidate` is
given. Without it the plugin does nothing, so that it can be installed beside anyone's own tests.
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
    "--policy-gateway": ("URL", "the gateway that suites/policy judges (not there yet)"),
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
    if config.getoption("tidegate_candidate") is not None:
        from suites.session import start

        start(config)
        return
    for option, name in _OPTIONS.items():
        if config.getoption(name) is not None:
            raise pytest.UsageError(f"{option} needs --candidate URL")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("tidegate_candidate") is None and any(SUITES in item.path.parents for item in items):
        raise pytest.UsageError("the suites judge a deployment: name it with --candidate URL")
