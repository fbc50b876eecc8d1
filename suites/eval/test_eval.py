"""Does the candidate still answer as well as the baseline? Both get the same items, in turn, in one run.

Each test asks one item of both arms and records a row; no test judges. The verdict is formed once, from all
rows, by `finish`.
"""

import time
from pathlib import Path
from typing import Any

import pytest

from guard.adapters.chat import ChatRequest, Reply
from guard.core.samples import Outcome
from guard.errors import ConfigurationError
from suites.arms import Target
from suites.eval.dataset import Item, items_of
from suites.eval.graders import grade
from suites.judge import Judge
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


def test_item(index: int, item: Item, candidate: Target, baseline: Target | None, judge: Judge) -> None:
    """Asked of both arms, each first in every other item."""
    arms = [candidate] if baseline is None else [baseline, candidate]
    replies = {arm.endpoint.arm: _ask(arm, item) for arm in (arms if index % 2 else arms[::-1])}
    for arm, reply in replies.items():
        judge.record(_row(index, item, str(arm), reply))


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
