"""What makes an approval good: one exact call, one requester, one use, some minutes."""

from dataclasses import replace

import pytest

from stack.policy.approvals import Approvals
from stack.policy.calls import Call
from stack.policy.principals import Principal, Principals
from stack.policy.rules import Refuse, Refused, Rule

REFUSE = Refuse()
AGENT = Principal("agent", frozenset({"requester"}), "a" * 16)
ONE = Principal("one", frozenset({"requester", "approver"}), "b" * 16)
TWO = Principal("two", frozenset({"requester", "approver"}), "c" * 16)
CALL = Call("git", ("tag", "v1"))


class _Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return _Clock()


@pytest.fixture
def approvals(clock):
    return Approvals(b"k" * 16, "here", Principals([AGENT, ONE, TWO]), 900, clock)


def _issue(approvals, call=CALL, approver=ONE, requester="agent", ttl=60):
    return approvals.issue(approver, call, requester, ttl, REFUSE)[1]


def _rule(approvals, tokens, call=CALL, requester=AGENT, spent=()):
    with pytest.raises(Refused) as refused:
        approvals.verify(tokens, call, requester, spent, REFUSE)
    return refused.value.rule


def test_good_approval_names_its_approver(approvals):
    (found,) = approvals.verify([_issue(approvals)], CALL, AGENT, (), REFUSE)
    assert (found.approver, found.requester, found.expires_at) == ("one", "agent", 1060.0)


def test_same_approval_given_twice_counts_once(approvals):
    token = _issue(approvals)
    assert len(approvals.verify([token, token], CALL, AGENT, (), REFUSE)) == 1


@pytest.mark.parametrize(
    "call",
    [
        Call("git", ("tag", "v2")),
        Call("git", ("tag", "v1", "")),
        Call("git", ("tagv1",)),
        Call("git", ("tag v1",)),
        Call("tests", ("tag", "v1")),
        Call("git", ("tag", "v1"), "other"),
    ],
)
def test_approval_is_for_the_exact_call(approvals, call):
    assert _rule(approvals, [_issue(approvals)], call) is Rule.SWAPPED_ARGUMENT


def test_approval_expires_at_its_second(approvals, clock):
    token = _issue(approvals, ttl=60)
    clock.now = 1059.9
    approvals.verify([token], CALL, AGENT, (), REFUSE)
    clock.now = 1060.0
    assert _rule(approvals, [token]) is Rule.EXPIRED_APPROVAL


def test_spent_approval_is_refused(approvals):
    approval, token = approvals.issue(ONE, CALL, "agent", 60, REFUSE)
    assert _rule(approvals, [token], spent={approval.nonce}) is Rule.REPLAYED_APPROVAL


def test_approval_of_anothers_call_is_refused(approvals):
    assert _rule(approvals, [_issue(approvals, requester="two")]) is Rule.BORROWED_APPROVAL


def test_nobody_approves_itself_nor_does_who_is_no_approver(approvals):
    for approver, requester in ((ONE, "one"), (AGENT, "agent"), (AGENT, "one")):
        with pytest.raises(Refused) as refused:
            _issue(approvals, approver=approver, requester=requester)
        assert refused.value.rule is Rule.SELF_GIVEN_APPROVAL


def test_approver_that_lost_its_role_approves_nothing(clock):
    before = Approvals(b"k" * 16, "here", Principals([AGENT, ONE]), 900, clock)
    demoted = replace(ONE, roles=frozenset({"requester"}))
    after = Approvals(b"k" * 16, "here", Principals([AGENT, demoted]), 900, clock)
    assert _rule(after, [_issue(before)]) is Rule.SELF_GIVEN_APPROVAL


@pytest.mark.parametrize("other", [(b"x" * 16, "here"), (b"k" * 16, "there")])
def test_approval_of_another_gateway_is_worth_nothing(clock, approvals, other):
    token = _issue(Approvals(*other, Principals([AGENT, ONE]), 900, clock))
    assert _rule(approvals, [token]) in (Rule.FORGED_APPROVAL, Rule.SWAPPED_ARGUMENT)


def test_every_changed_character_makes_an_approval_worthless(approvals):
    token = _issue(approvals)
    for at in range(len(token)):
        other = "A" if token[at] != "A" else "B"
        assert _rule(approvals, [token[:at] + other + token[at + 1 :]]) is Rule.FORGED_APPROVAL


def test_second_spelling_of_an_approval_is_none(approvals):
    token = _issue(approvals)
    for spelled in (token + "=", token + "\n", " " + token, token.replace(".", "..", 1), token + ".x"):
        assert _rule(approvals, [spelled]) is Rule.FORGED_APPROVAL


def test_one_bad_approval_spoils_the_good_one_beside_it(approvals):
    assert _rule(approvals, [_issue(approvals), "forged"]) is Rule.FORGED_APPROVAL


def test_approval_lives_no_longer_than_the_gateway_allows(approvals):
    with pytest.raises(Refused, match="at most 900"):
        _issue(approvals, ttl=901)
