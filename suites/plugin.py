"""The pytest plugin that turns the suites' tests into a machine-readable result.

Owns the options, and nothing else: everything heavier is imported by `suites.session` once `--candidate` is
given. Without it the plugin does nothing, so that it can be installed beside anyone's own tests.
"""

from pathlib import Path

import pytest

SUITES = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tidegate", "Tidegate: judge a model server")
    add = group.addoption
    add("--candidate", dest="tidegate_candidate", metavar="URL", help="the deployment under judgement")
    add("--baseline", dest="tidegate_baseline", metavar="URL", help="what it is compared with")
    add("--model", dest="tidegate_model", metavar="ID", help="as in /v1/models (default: the only one)")
    add("--config", dest="tidegate_config", metavar="FILE", help="suites and objectives (YAML)")
    add("--api-key-env", dest="tidegate_api_key_env", metavar="NAME", help="variable that holds the API key")
    add("--ca-file", dest="tidegate_ca_file", metavar="FILE", help="certificates of the issuer, PEM")
    add("--tidegate-out", dest="tidegate_out", metavar="DIR", help="write DIR/<suite>.json and the raw data")
    add(
        "--policy-gateway",
        dest="tidegate_policy_gateway",
        metavar="URL",
        help="the gateway that suites/policy judges",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("tidegate_candidate") is not None:
        from suites.session import start

        start(config)
        return
    given = [name for name in _NEED_A_CANDIDATE if config.getoption(f"tidegate_{name}") is not None]
    if given:
        raise pytest.UsageError(f"--{given[0].replace('_', '-')} needs --candidate URL")


_NEED_A_CANDIDATE = ("baseline", "policy_gateway")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("tidegate_candidate") is None and any(SUITES in item.path.parents for item in items):
        raise pytest.UsageError("the suites judge a deployment: name it with --candidate URL")
