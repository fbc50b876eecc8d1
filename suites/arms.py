"""The two deployments as the suites see them, and what it means when one does not answer.

Owns section 4's rule: the same client, at the same time, gets answers from the baseline and none from the
candidate: FAIL. Both silent, or nothing to compare with: ERROR. A model that is not served likewise.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from guard.adapters.chat import ChatClient, ChatRequest, Reply
from guard.adapters.endpoint import Endpoint, Timeouts, unauthorized
from guard.adapters.runtimes import Runtime, ServedModel, detect, served_models
from guard.core.check import Check
from guard.core.fingerprint import Fingerprint, confounders
from guard.core.samples import Outcome, Source
from guard.core.verdict import Verdict
from guard.errors import TidegateError, UnauthorizedError
from suites.judge import Stop

ANSWERS = "endpoint-answers"
MODEL = "model-is-served"


@dataclass(frozen=True)
class Target:
    """One arm that answered, and the model to ask it for."""

    client: ChatClient
    models: tuple[ServedModel, ...]
    runtime: Runtime
    model: str
    baseline: Endpoint | None  # asked whether it answers, when this arm falls silent

    @property
    def endpoint(self) -> Endpoint:
        return self.client.endpoint

    def fingerprint(self) -> Fingerprint:
        """What the server tells of itself."""
        return self.runtime.fingerprint(self.client, self.model)

    def ask(
        self, prompt: str, *, system: str | None = None, max_tokens: int = 64, stream: bool = True
    ) -> Reply:
        """One completion.

        Raises:
            Stop: No connection, or not authorised: nothing that a suite could judge.
        """
        request = ChatRequest.ask(self.model, prompt, system=system, max_tokens=max_tokens)
        return self.judgeable(self.client.complete(request, stream=stream))

    def judgeable(self, reply: Reply) -> Reply:
        """The reply, unless it says only that the endpoint cannot be used; raises as `ask`."""
        sample = reply.sample
        if sample.outcome is Outcome.REFUSED:
            raise Stop(_silent(str(sample.error), self.baseline))
        if sample.status in (401, 403):
            raise Stop(Check(ANSWERS, Verdict.ERROR, unauthorized(self.endpoint.url, sample.status)))
        return reply


def open_candidate(
    endpoint: Endpoint, baseline: Endpoint | None, model: str | None, timeouts: Timeouts
) -> Target:
    """The candidate, asked for its models.

    Raises:
        Stop: It does not answer, or does not serve the model; the check holds section 4's verdict.
    """
    client = ChatClient(endpoint, source=Source.PROBE, timeouts=timeouts)
    try:
        models = tuple(served_models(client))
    except UnauthorizedError as error:
        raise Stop(Check(ANSWERS, Verdict.ERROR, str(error))) from None
    except TidegateError as error:
        raise Stop(_silent(str(error), baseline)) from None
    return Target(client, models, detect(models), _model(model, models, baseline), baseline)


def open_baseline(endpoint: Endpoint, model: str, timeouts: Timeouts) -> Target:
    """The baseline, asked for its models.

    Raises:
        Stop: ERROR: nothing can be compared with an arm that is down or serves another model.
    """
    client = ChatClient(endpoint, source=Source.PROBE, timeouts=timeouts)
    try:
        models = tuple(served_models(client))
    except TidegateError as error:
        raise Stop(Check("baseline-answers", Verdict.ERROR, f"the baseline: {error}")) from None
    if model not in {served.id for served in models}:
        reason = f"the baseline does not serve {model!r}; it serves {_names(models)}"
        raise Stop(Check("baseline-answers", Verdict.ERROR, reason))
    return Target(client, models, detect(models), model, None)


def refuse_confounded(baseline: Target, candidate: Target, expected: Iterable[str]) -> None:
    """Stop, INCONCLUSIVE, when the arms differ in more than the change says (DESIGN section 6)."""
    if names := confounders(baseline.fingerprint(), candidate.fingerprint(), expected):
        reason = f"confounded by {', '.join(names)}: the arms differ there, and expectChange does not say so"
        raise Stop(Check("arms-are-comparable", Verdict.INCONCLUSIVE, reason))


def ids_of(endpoint: Endpoint) -> list[str] | None:
    """Ids that an arm serves at this moment; None when it does not answer."""
    try:
        with ChatClient(endpoint, timeouts=Timeouts(read=10.0)) as client:
            return [served.id for served in served_models(client)]
    except TidegateError:
        return None


def _silent(why: str, baseline: Endpoint | None) -> Check:
    if baseline is None:
        reason = f"{why} (with --baseline URL it could be told whether only the candidate is dead)"
        return Check(ANSWERS, Verdict.ERROR, reason)
    if ids_of(baseline) is None:
        return Check(ANSWERS, Verdict.ERROR, f"{why}; the baseline {baseline.url} does not answer either")
    reason = f"{why}; the baseline answered the same client at the same time"
    return Check(
        ANSWERS, Verdict.FAIL, reason, "hard_limit", value=0, limit=1, baseline_value=1, unit="count"
    )


def _model(asked: str | None, models: tuple[ServedModel, ...], baseline: Endpoint | None) -> str:
    served = [model.id for model in models]
    if asked is None and len(served) == 1:
        return served[0]
    if asked in served:
        return asked
    raise _refused_model(asked, models, (ids_of(baseline) if baseline else None) or [])


def _refused_model(asked: str | None, models: tuple[ServedModel, ...], at_baseline: list[str]) -> Stop:
    if asked is None:
        return Stop(
            Check(MODEL, Verdict.ERROR, f"choose with --model: the candidate serves {_names(models)}")
        )
    reason = f"the candidate does not serve {asked!r}; it serves {_names(models)}"
    if asked in at_baseline:
        return Stop(Check(MODEL, Verdict.FAIL, f"{reason}; the baseline serves it", "hard_limit"))
    return Stop(Check(MODEL, Verdict.ERROR, f"{reason}: is --model right?"))


def _names(models: tuple[ServedModel, ...]) -> str:
    return ", ".join(repr(model.id) for model in models) or "no model"
