"""Before any suite: do both arms answer, do they serve the model, may they be compared?

Owns section 4's rule for an arm that does not answer, the model's name, and the refusal of a confounded
comparison. `ask` does the network's part; judging is pure.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from guard.adapters.chat import ChatClient
from guard.adapters.endpoint import Endpoint, Timeouts
from guard.adapters.runtimes import served_models
from guard.core.check import Check
from guard.core.evidence import Difference, FieldDifference, fingerprint_differences
from guard.core.fingerprint import Fingerprint, confounders
from guard.core.verdict import Verdict
from guard.errors import TidegateError, UnreachableError

# A runtime that is just being restarted refuses for a moment; a dead one refuses every time.
_ROUNDS = 3
_PAUSE_SECONDS = 0.5
_TIMEOUTS = Timeouts(connect=5.0, read=15.0, total=15.0)


@dataclass(frozen=True)
class Answer:
    """What one arm said: the ids that it serves, or why there is no such list.

    `seconds` is the time in which both arms were asked, `rounds` how often; None and 1 where nobody measured.
    """

    url: str
    models: tuple[str, ...] = ()
    error: TidegateError | None = None
    seconds: float | None = None
    rounds: int = 1

    @property
    def dead(self) -> bool:
        """Gave no answer, as opposed to one that cannot be used (401, 404)."""
        return isinstance(self.error, UnreachableError)


@dataclass(frozen=True)
class Preflight:
    """Checks, and the model to ask for; None when the suites must not start."""

    checks: tuple[Check, ...]
    model: str | None = None


def ask_both(
    candidate: Endpoint, baseline: Endpoint | None, pause: Callable[[float], None] = time.sleep
) -> tuple[Answer, Answer | None]:
    """Both arms' model lists, from the same client at the same time; a dead arm is asked again twice."""
    began_at = time.monotonic()
    for rounds in range(1, _ROUNDS + 1):
        answers = ask_models(candidate), None if baseline is None else ask_models(baseline)
        if rounds == _ROUNDS or not any(answer and answer.dead for answer in answers):
            break
        pause(_PAUSE_SECONDS)
    seconds = time.monotonic() - began_at
    ours, theirs = answers
    ours = replace(ours, seconds=seconds, rounds=rounds)
    return ours, theirs and replace(theirs, seconds=seconds, rounds=rounds)


def ask_models(endpoint: Endpoint) -> Answer:
    try:
        with ChatClient(endpoint, timeouts=_TIMEOUTS) as client:
            return Answer(endpoint.url, tuple(model.id for model in served_models(client)))
    except TidegateError as error:
        return Answer(endpoint.url, error=error)


def judge_answers(candidate: Answer, baseline: Answer | None, asked: str | None) -> Preflight:
    """Whether the suites may start, and with which model.

    Args:
        asked: `--model`; None: the only one that is served.
    """
    if candidate.error is not None:
        return Preflight((_candidate_silent(candidate, baseline),))
    if baseline is not None and baseline.error is not None:
        return Preflight((_error("baseline-answers", f"the baseline: {baseline.error}", baseline),))
    served = (baseline or candidate).models
    model = asked if asked is not None else served[0] if len(served) == 1 else None
    if model is None:
        reason = f"name one with --model: {_listed(served)}"
        return Preflight((_error("model-is-served", reason, candidate),))
    endpoints = 1 if baseline is None else 2
    reason = "every endpoint lists its models"
    answers = _counted("endpoints-answer", Verdict.PASS, reason, candidate, (endpoints, endpoints, None))
    return _judge_model(model, candidate, baseline, answers)


def judge_comparison(
    baseline: Fingerprint, candidate: Fingerprint, expected: frozenset[str]
) -> tuple[Check, tuple[FieldDifference, ...]]:
    """Whether the arms may be compared, and every field of both.

    A confounded comparison is INCONCLUSIVE: neither arm was found bad, and nothing could be learnt.
    """
    confounding = confounders(baseline, candidate, expected)
    rows = fingerprint_differences(baseline, candidate, confounding)
    if not confounding:
        reason = "no field differs beyond the change"
        return _comparable(Verdict.PASS, reason, 0, len(rows)), rows
    named = "; ".join(
        f"{row.field} is {row.before} on the baseline and {row.after} on the candidate"
        for row in rows
        if row.difference is Difference.CONFOUNDED
    )
    flags = " ".join(f"--expect-change {field}" for field in confounding)
    reason = f"confounded, so the comparison is refused: {named}; if that is the change, say {flags}"
    return _comparable(Verdict.INCONCLUSIVE, reason, len(confounding), len(rows)), rows


def _candidate_silent(candidate: Answer, baseline: Answer | None) -> Check:
    name, reason = "candidate-answers", str(candidate.error)
    if baseline is None:
        reason += " (with --baseline URL it could be told whether only the candidate is dead)"
        return _error(name, reason, candidate)
    if not candidate.dead:
        return _error(name, f"the candidate: {reason}", candidate)
    if baseline.error is not None:
        return _error(name, f"{reason}; nor does the baseline answer: {baseline.error}", candidate)
    reason = f"{reason}; the baseline answered the same client at the same time"
    return _counted(name, Verdict.FAIL, reason, candidate, (0, 1, 1))


def _judge_model(model: str, candidate: Answer, baseline: Answer | None, answers: Check) -> Preflight:
    name = "model-is-served"
    if baseline is not None and model not in baseline.models:
        reason = f"the baseline does not serve {model!r}; it serves {_listed(baseline.models)}"
        return Preflight((answers, _error(name, reason, baseline)))
    theirs = None if baseline is None else 1
    if model in candidate.models:
        check = _counted(name, Verdict.PASS, f"{model} is served", candidate, (1, 1, theirs))
        return Preflight((answers, check), model)
    reason = f"the candidate does not serve {model!r}; it serves {_listed(candidate.models)}"
    if baseline is None:
        return Preflight((answers, _error(name, f"{reason}: is --model right?", candidate)))
    check = _counted(name, Verdict.FAIL, f"{reason}; the baseline serves it", candidate, (0, 1, theirs))
    return Preflight((answers, check))


def _counted(
    name: str, verdict: Verdict, reason: str, asked: Answer, counts: tuple[int, int, int | None]
) -> Check:
    """`counts`: how many did, how many had to, and the baseline's."""
    value, limit, other = counts
    signal = "hard_limit" if verdict is Verdict.FAIL else "preflight"
    return Check(name, verdict, reason, signal, value, limit, other, "count", asked.rounds, asked.seconds)


def _comparable(verdict: Verdict, reason: str, confounding: int, fields: int) -> Check:
    """Fields that confound, of those compared. Each was looked at once: the window is a moment."""
    name = "arms-are-comparable"
    return Check(name, verdict, reason, "preflight", confounding, 0, None, "count", fields, 0.0)


def _error(name: str, reason: str, asked: Answer) -> Check:
    return Check(name, Verdict.ERROR, reason, "preflight", samples=asked.rounds, window_seconds=asked.seconds)


def _listed(models: tuple[str, ...]) -> str:
    return ", ".join(repr(model) for model in models) or "no model"
