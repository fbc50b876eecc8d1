"""Does the candidate still answer as well as the baseline? Both get the same items, in turn, in one run.

Each test asks one item of both arms and records a row; no test judges. The verdict is formed once, from all
rows, by `finish`.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from guard.adapters.chat import ChatRequest, Reply
from guard.core.check import Check
from guard.core.samples import Arm, Outcome
from guard.core.verdict import Verdict
from guard.errors import ConfigurationError
from suites.arms import ANSWERS, Target
from suites.eval.dataset import Item, items_of
from suites.eval.graders import grade
from suites.judge import Judge, Stop
from suites.session import OPTIONS, settings_of

# The model said nothing that could be graded. Only a connection that broke is asked again: a timeout has
# already taken as long as it may.
UNGRADED = (Outcome.REFUSED, Outcome.TRUNCATED, Outcome.TIMEOUT, Outcome.STALLED)
ASKED_AGAIN = (Outcome.REFUSED, Outcome.TRUNCATED)
RETRY_AFTER_SECONDS = (0.5, 1.0)
# Timeouts of the candidate in a row that end the suite. Arbitrary; at a minute each, more say no more.
PATIENCE = 3


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    options = metafunc.config.stash.get(OPTIONS, None)
    items: list[Item] = []
    if options is not None:
        file = metafunc.config.getoption("tidegate_config")
        try:
            items = items_of(settings_of(options, "eval"), Path(file).parent if file else Path())
        except ConfigurationError as error:
            raise pytest.Collector.CollectError(str(error)) from None
    metafunc.parametrize(("index", "item"), list(enumerate(items)), ids=[item.id for item in items])


@dataclass
class Patience:
    """Ends the suite when the candidate only times out: each further item would take a minute."""

    timeouts: int = 0
    baseline_answered: int = 0

    def stop_when_out(self) -> None:
        if self.timeouts < PATIENCE:
            return
        reason = f"{self.timeouts} answers of the candidate in a row took too long"
        if self.baseline_answered == self.timeouts:
            reason += "; the baseline answered the same items at the same time"
            raise Stop(Check(ANSWERS, Verdict.FAIL, reason, "hard_limit", samples=self.timeouts))
        raise Stop(Check(ANSWERS, Verdict.ERROR, f"{reason}, and no baseline answered them"))

    def note(self, replies: Mapping[Arm, Reply]) -> None:
        if replies[Arm.CANARY].sample.outcome is not Outcome.TIMEOUT:
            self.timeouts = self.baseline_answered = 0
            return
        self.timeouts += 1
        self.baseline_answered += Arm.BASELINE in replies and replies[Arm.BASELINE].ok


@pytest.fixture(scope="module")
def patience() -> Patience:
    return Patience()


def test_item(
    index: int, item: Item, candidate: Target, baseline: Target | None, patience: Patience, judge: Judge
) -> None:
    """Asked of both arms, each first in every other item."""
    patience.stop_when_out()
    arms = [candidate] if baseline is None else [baseline, candidate]
    replies = {arm.endpoint.arm: _ask(arm, item) for arm in (arms if index % 2 else arms[::-1])}
    for arm, reply in replies.items():
        judge.record(_row(index, item, str(arm), reply))
    patience.note(replies)


def _ask(arm: Target, item: Item) -> Reply:
    request = ChatRequest(arm.model, item.messages(), max_tokens=item.max_tokens)
    reply = arm.client.complete(request, stream=False)
    for seconds in RETRY_AFTER_SECONDS:
        if reply.sample.outcome not in ASKED_AGAIN:
            break
        time.sleep(seconds)
        reply = arm.client.complete(request, stream=False)
    return arm.judgeable(reply)


def _row(index: int, item: Item, arm: str, reply: Reply) -> dict[str, Any]:
    """One line of eval-answers.jsonl. `passed` is null where the model said nothing that could be graded."""
    sample = reply.sample
    graded = sample.outcome not in UNGRADED
    return {
        "index": index,
        "item": item.id,
        "family": item.family,
        "arm": arm,
        "answered_at": time.time(),
        "outcome": str(sample.outcome),
        "status": sample.status,
        "error": sample.error,
        "answer": reply.text,
        "expected": item.answer,
        "passed": reply.ok and grade(item.grader, reply.text, item.answer) if graded else None,
        "request_id": sample.request_id,
        "e2e_seconds": sample.e2e_seconds,
        "output_tokens": sample.output_tokens,
    }
