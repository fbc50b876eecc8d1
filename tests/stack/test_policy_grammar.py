"""Which calls have a form, and at which risk; everything else is refused."""

from pathlib import Path

import pytest

from stack.policy import git, git_settings, tests_tool
from stack.policy.calls import Risk
from stack.policy.kubectl import Kubectl
from stack.policy.rules import Refuse, Refused, Rule

REFUSE = Refuse()
KUBECTL = Kubectl(["inference", "default"])


@pytest.mark.parametrize(
    ("line", "risk"),
    [
        ("status", Risk.R0),
        ("status --short -- stack/a.py", Risk.R0),
        ("log --oneline -n 5 main..HEAD", Risk.R0),
        ("log -3 HEAD~2 -- docs", Risk.R0),
        ("show --stat HEAD^", Risk.R0),
        ("diff --cached", Risk.R0),
        ("rev-parse --short HEAD", Risk.R0),
        ("branch --list", Risk.R0),
        ("tag v1.2", Risk.R2),
        ("branch fix/typo", Risk.R2),
        ("tag -d v1.2", Risk.R3),
        ("branch -D fix/typo", Risk.R3),
    ],
)
def test_git_call_has_its_risk(line, risk):
    assert git.risk(line.split(), REFUSE) is risk


@pytest.mark.parametrize(
    ("line", "risk"),
    [
        ("get pods", Risk.R1),
        ("get deployments chat chat-canary -n inference -o json", Risk.R1),
        ("get pods -l app=chat,track=canary", Risk.R1),
        ("describe pod/chat-1", Risk.R1),
        ("logs chat-1 --tail=100 -c server", Risk.R1),
        ("scale deployment/chat --replicas=2 --namespace=inference", Risk.R2),
        ("rollout restart deployment/chat", Risk.R2),
        ("delete pod/chat-1", Risk.R3),
    ],
)
def test_kubectl_call_has_its_risk(line, risk):
    assert KUBECTL.risk(line.split(), REFUSE) is risk


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("-c alias.x=!sh x", Rule.GIT_EXECUTES),
        ("diff --ext-diff", Rule.GIT_EXECUTES),
        ("diff --ext", Rule.GIT_EXECUTES),
        ("log --show-signature", Rule.GIT_EXECUTES),
        ("grep -Osh x", Rule.GIT_EXECUTES),
        ("fetch --upload-pack=sh .", Rule.GIT_EXECUTES),
        ("diff --output=f", Rule.GIT_WRITES),
        ("diff --outp=f", Rule.GIT_WRITES),
        ("log --output f", Rule.GIT_WRITES),
        ("branch -m x", Rule.GIT_WRITES),
        ("tag -f v1", Rule.GIT_WRITES),
        ("config user.name x", Rule.GIT_WRITES),
        ("-C / status", Rule.GIT_ELSEWHERE),
        ("--git-dir=x log", Rule.GIT_ELSEWHERE),
        ("diff --no-index a b", Rule.GIT_ELSEWHERE),
        ("diff sub/../../../key f", Rule.GIT_ELSEWHERE),
        ("diff sub/.. HEAD", Rule.GIT_ELSEWHERE),
        ("log x/../../y", Rule.GIT_ELSEWHERE),
        ("status -- ../x", Rule.GIT_ELSEWHERE),
        ("status -- :(top)x", Rule.GIT_ELSEWHERE),
        ("STATUS", Rule.DISGUISED_NAME),
        ("log --unknown", Rule.NOT_ALLOWED),
        ("log HEAD HEAD HEAD", Rule.NOT_ALLOWED),
        ("log -n", Rule.NOT_ALLOWED),
        ("log -n 1;x", Rule.NOT_ALLOWED),
        ("tag v1..x", Rule.GIT_WRITES),
        ("tag v1 HEAD", Rule.GIT_WRITES),
        ("show HEAD:stack/a.py", Rule.NOT_ALLOWED),
    ],
)
def test_git_call_without_a_form_is_refused(line, rule):
    with pytest.raises(Refused) as refused:
        git.risk(line.split(), REFUSE)
    assert refused.value.rule is rule


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("get secrets", Rule.KUBECTL_ELSEWHERE),
        ("get pods secret/x", Rule.KUBECTL_ELSEWHERE),
        ("get pods,secrets", Rule.KUBECTL_ELSEWHERE),
        ("get pods -n kube-system", Rule.KUBECTL_ELSEWHERE),
        ("get pods -nkube-system", Rule.KUBECTL_ELSEWHERE),
        ("get pods --as=admin", Rule.KUBECTL_ELSEWHERE),
        ("get pods -shttp://x", Rule.KUBECTL_ELSEWHERE),
        ("get --raw /api", Rule.KUBECTL_ELSEWHERE),
        ("get pods -o jsonpath-file=f", Rule.KUBECTL_ELSEWHERE),
        ("config view --raw", Rule.KUBECTL_ELSEWHERE),
        ("get pods --cache-dir=.", Rule.KUBECTL_WRITES),
        ("exec pod -- sh", Rule.KUBECTL_WRITES),
        ("no-such-plugin", Rule.KUBECTL_WRITES),
        ("scale deployment/chat", Rule.KUBECTL_WRITES),
        ("delete pods --all", Rule.KUBECTL_WRITES),
        ("delete secret/x", Rule.KUBECTL_WRITES),
    ],
)
def test_kubectl_call_without_a_form_is_refused(line, rule):
    with pytest.raises(Refused) as refused:
        KUBECTL.risk(line.split(), REFUSE)
    assert refused.value.rule is rule


@pytest.mark.parametrize("line", ["get pods", "get pods --namespace=", "delete pod/chat-1", "version"])
def test_kubectl_without_a_namespace_has_no_form(line):
    with pytest.raises(Refused, match="no such tool: no namespace") as refused:
        Kubectl([]).risk(line.split(), REFUSE)
    assert refused.value.rule is Rule.NOT_ALLOWED


@pytest.mark.parametrize("argv", [["run"], ["run", "other"], ["run", "unit", "-x"], ["list", "x"], ["unit"]])
def test_tests_run_only_what_is_named(argv):
    assert tests_tool.risk(["run", "unit"], ["unit"], REFUSE) is Risk.R1
    with pytest.raises(Refused):
        tests_tool.risk(argv, ["unit"], REFUSE)


def test_git_is_started_without_what_a_repository_could_make_it_run():
    command = git.command("git", ["diff", "HEAD"])
    without = ["--no-ext-diff", "--no-textconv", "--ignore-submodules=all"]
    assert command[-6:] == ["diff", *without, "HEAD", "--"]
    assert {"core.fsmonitor=false", "core.hooksPath=/dev/null", "protocol.allow=never"} <= set(command)


def test_gits_global_settings_are_a_file_that_cannot_be_made() -> None:
    """As root, `git config --global` would put a regular file in the place of /dev/null."""
    assert not Path(git_settings.ENVIRONMENT["GIT_CONFIG_GLOBAL"]).parent.exists()
