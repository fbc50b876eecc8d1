"""What a gateway's configuration may say, and that its weaknesses cannot be had by accident."""

import pytest

from stack.policy.config import DENY_ALL, WEAK, ConfigError, read_config
from stack.policy.rules import UNSWITCHABLE, Rule
from tests.stack.policy_process import TOKENS, write_config


@pytest.fixture(autouse=True)
def _tokens(monkeypatch):
    for name, token in TOKENS.items():
        monkeypatch.setenv(name, token)


def test_plain_configuration_is_strict(tmp_path):
    config = read_config(write_config(tmp_path))
    assert (config.weak_to, config.deny_all) == (frozenset(), False)
    assert "token" not in repr(config.principals.get("agent")).replace("token-", "")


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"permissive": ["no-approval"]}, "unknown key 'permissive'"),
        ({WEAK: ["everything"]}, WEAK),
        ({WEAK: [str(Rule.NOT_ALLOWED)]}, WEAK),
        ({"workspace": "nowhere"}, "workspace: .*no such folder"),
        ({"approvals": {"key": "in-the-file-itself"}}, "approvals.key: expected a mapping"),
        ({"approvals": {"key": {"env": "NO_SUCH_VARIABLE"}}}, "approvals.key: the secret must have 16"),
        ({"approvals": {"key": {"file": "absent"}}}, "approvals.key: .*absent"),
        ({"tools": {"tests": {"unit": "make test"}}}, "tools.tests.unit: expected a list"),
        ({"alerts": {"webhook": "file:///x"}}, "alerts.webhook"),
    ],
)
def test_unusable_configuration_is_refused_by_name(tmp_path, more, named):
    file = write_config(tmp_path, **more)
    with pytest.raises(ConfigError, match=named):
        read_config(file)


def test_every_weakness_is_named_as_one(tmp_path):
    names = sorted(set(Rule) - UNSWITCHABLE)
    config = read_config(write_config(tmp_path, **{WEAK: names, DENY_ALL: True}))
    assert config.weak_to == set(names)
    assert WEAK.startswith("TESTS_ONLY_deliberately")
