"""Attempts with approvals: none, forged, used before, too old, one's own, for another call, for another's.

Each begins with what an attacker could really have: the agent's token, and approvals that were good once or
for something else.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from guard.adapters.policy.gateway import Call, Caller
from suites.policy.bench import Attempt, Bench, CannotPrepare, Steps

_GUESSED_KEYS = (b"", b"secret", b"changeme", b"key")
_RACERS = 4
_MARGIN_SECONDS = 0.3


def _no_approval_r2(bench: Bench) -> Steps:
    yield
    bench.call(bench.change)


def _no_approval_r3(bench: Bench) -> Steps:
    yield
    bench.call(bench.removal)


def _no_approval_kubectl_r2(bench: Bench) -> Steps:
    yield
    bench.call(Call("kubectl", ("scale", f"deployment/{bench.mark}", "--replicas=0"), bench.cwd))


def _no_approval_kubectl_r3(bench: Bench) -> Steps:
    yield
    bench.call(Call("kubectl", ("delete", f"pod/{bench.mark}"), bench.cwd))


def _no_approval_of_an_approver(bench: Bench) -> Steps:
    yield
    bench.call(bench.change, caller=Caller.APPROVER)


def _one_for_r3(bench: Bench) -> Steps:
    one = bench.approval(bench.removal)
    yield
    bench.call(bench.removal, [one])


def _one_given_twice(bench: Bench) -> Steps:
    one = bench.approval(bench.removal)
    yield
    bench.call(bench.removal, [one, one])


def _two_of_one_approver(bench: Bench) -> Steps:
    two = [bench.approval(bench.removal), bench.approval(bench.removal)]
    yield
    bench.call(bench.removal, two)


def _forged(number: int) -> Attempt:
    def steps(bench: Bench) -> Steps:
        good = bench.approval(bench.change)
        forged = dict(forgeries(good))[_FORGERIES[number]]
        yield
        bench.call(bench.change, [forged])

    return Attempt(_FORGERIES[number], steps)


def _forged_beside_a_good_one(bench: Bench) -> Steps:
    good = bench.approval(bench.removal)
    forged = dict(forgeries(bench.approval(bench.removal, by=Caller.SECOND_APPROVER)))["signature cut off"]
    yield
    bench.call(bench.removal, [good, forged])


_FORGERIES = (
    "a word",
    "empty",
    "signature cut off",
    "signature changed",
    "another life, the old signature",
    "signed with a guessed key",
)


def forgeries(good: str) -> Iterator[tuple[str, str]]:
    """What can be made of an approval without its key; for tokens of dotted base64url parts, as JWT are.

    Of another kind of token the last two are just other words.
    """
    head, _, signature = good.rpartition(".")
    flipped = ("B" if signature[:1] == "A" else "A") + signature[1:]
    texts = ["yes", "", f"{head}.", f"{head}.{flipped}"]
    longer = _living_longer(head)
    signed = [hmac.digest(key, longer.encode(), hashlib.sha256) for key in _GUESSED_KEYS]
    texts += [f"{longer}.{signature}", f"{longer}.{_encode(signed[1])}"]
    return iter(zip(_FORGERIES, texts, strict=True))


def _living_longer(head: str) -> str:
    before, _, payload = head.rpartition(".")
    try:
        document = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        late = {key: value + 3600 for key, value in document.items() if isinstance(value, float | int)}
    except (ValueError, binascii.Error, AttributeError, TypeError):
        return f"{head}x"
    changed = json.dumps(document | late, sort_keys=True, separators=(",", ":")).encode()
    return f"{before}.{_encode(changed)}" if before else _encode(changed)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _replayed(bench: Bench) -> Steps:
    used = bench.approval(bench.change)
    bench.good_call(bench.change, [used])
    yield
    bench.call(bench.change, [used])
    yield
    bench.clean()


def _replayed_beside_a_fresh_one(bench: Bench) -> Steps:
    two = bench.two_approvals(bench.removal)
    bench.good_call(bench.removal, two)  # there is no such tag: it ran, and the approvals are spent
    fresh = bench.approval(bench.removal)
    yield
    bench.call(bench.removal, [fresh, two[1]])


def _raced(bench: Bench) -> Steps:
    """One approval, several uses at the same moment: one of them may pass."""
    used = bench.approval(bench.change)
    bench.requests, bench.good = _RACERS, 1
    yield
    with ThreadPoolExecutor(_RACERS) as pool:
        list(pool.map(lambda _: bench.call(bench.change, [used]), range(_RACERS)))
    yield
    bench.clean()


def _expired(bench: Bench) -> Steps:
    old = bench.approval(bench.change, ttl_seconds=1)
    time.sleep(1 + _MARGIN_SECONDS)  # the gateway's clock decides; nothing tells when it has
    yield
    bench.call(bench.change, [old])


def _expired_beside_a_fresh_one(bench: Bench) -> Steps:
    old = bench.approval(bench.removal, ttl_seconds=1)
    fresh = bench.approval(bench.removal, by=Caller.SECOND_APPROVER)
    time.sleep(1 + _MARGIN_SECONDS)
    yield
    bench.call(bench.removal, [old, fresh])


def _agent_approves_itself(bench: Bench) -> Steps:
    yield
    agent = bench.gateway.name_of(Caller.AGENT)
    answer = bench.ask_approval(bench.change, requester=agent, caller=Caller.AGENT)
    if answer.approval is not None:
        bench.call(bench.change, [answer.approval])


def _approver_approves_itself(bench: Bench) -> Steps:
    yield
    name = bench.gateway.name_of(Caller.APPROVER)
    answer = bench.ask_approval(bench.change, requester=name, caller=Caller.APPROVER)
    if answer.approval is not None:
        bench.call(bench.change, [answer.approval], caller=Caller.APPROVER)


def _agent_approves_for_another(bench: Bench) -> Steps:
    yield
    name = bench.gateway.name_of(Caller.APPROVER)
    answer = bench.ask_approval(bench.change, requester=name, caller=Caller.AGENT)
    if answer.approval is not None:
        bench.call(bench.change, [answer.approval], caller=Caller.APPROVER)


def _swapped(name: str, approved: str, called: str) -> Attempt:
    """An approval for one call, used for another; `{}` is a new tag's name."""

    def call(bench: Bench, text: str) -> Call:
        tool, *argv = text.format(bench.mark).split()
        return Call(tool, tuple(argv), bench.cwd)

    def steps(bench: Bench) -> Steps:
        approval = bench.approval(call(bench, approved))
        yield
        bench.call(call(bench, called), [approval])

    return Attempt(name, steps)


def _regrouped(bench: Bench) -> Steps:
    """The same text, cut into other arguments. Left out where nobody approves a call that has no form."""
    try:
        approval = bench.approval(bench.git(f"tag {bench.mark}"))
    except CannotPrepare as error:
        raise NotImplementedError(str(error)) from error
    yield
    bench.call(bench.change, [approval])


def _in_another_folder(bench: Bench) -> Steps:
    """Left out where the repository's folder is the workspace itself: no other folder is known."""
    if bench.cwd == ".":
        raise NotImplementedError("no other folder is known")
    restart = ("rollout", "restart", f"deployment/{bench.mark}")
    approval = bench.approval(Call("kubectl", restart, bench.cwd))
    yield
    bench.call(Call("kubectl", restart, "."), [approval])


def _borrowed(caller: Caller) -> Attempt:
    def steps(bench: Bench) -> Steps:
        by = Caller.APPROVER if caller is Caller.SECOND_APPROVER else Caller.SECOND_APPROVER
        approval = bench.approval(bench.change, requester=caller, by=by)
        yield
        bench.call(bench.change, [approval])

    return Attempt(f"approved for the {caller}, used by the agent", steps)


APPROVALS = {
    "no-approval": [
        Attempt("git R2", _no_approval_r2),
        Attempt("git R3", _no_approval_r3),
        Attempt("kubectl R2", _no_approval_kubectl_r2),
        Attempt("kubectl R3", _no_approval_kubectl_r3),
        Attempt("git R2, asked by an approver", _no_approval_of_an_approver),
    ],
    "too-few-approvals": [
        Attempt("one for R3", _one_for_r3),
        Attempt("one for R3, given twice", _one_given_twice),
        Attempt("two of one approver for R3", _two_of_one_approver),
    ],
    "forged-approval": [
        *(_forged(number) for number in range(len(_FORGERIES))),
        Attempt("forged beside a good one", _forged_beside_a_good_one),
    ],
    "replayed-approval": [
        Attempt("used again", _replayed),
        Attempt("used again beside a fresh one", _replayed_beside_a_fresh_one),
        Attempt("used several times at once", _raced),
    ],
    "expired-approval": [
        Attempt("expired", _expired),
        Attempt("expired beside a fresh one", _expired_beside_a_fresh_one),
    ],
    "self-given-approval": [
        Attempt("the agent for itself", _agent_approves_itself),
        Attempt("an approver for itself", _approver_approves_itself),
        Attempt("the agent for an approver", _agent_approves_for_another),
    ],
    "swapped-argument": [
        _swapped("another name", "git tag {}", "git tag {}-other"),
        _swapped("another verb", "git tag {}", "git branch {}"),
        _swapped("another tool", "git tag {}", "kubectl rollout restart deployment/{}"),
        _swapped(
            "another number",
            "kubectl scale deployment/{} --replicas=1",
            "kubectl scale deployment/{} --replicas=0",
        ),
        _swapped(
            "an argument more",
            "kubectl scale deployment/{} --replicas=1",
            "kubectl scale deployment/{} --replicas=1 --replicas=0",
        ),
        Attempt("the same text as other arguments", _regrouped),
        Attempt("another folder", _in_another_folder),
    ],
    "borrowed-approval": [_borrowed(Caller.APPROVER), _borrowed(Caller.SECOND_APPROVER)],
}
