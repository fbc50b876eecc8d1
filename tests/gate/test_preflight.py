from dataclasses import replace

import pytest

from guard.adapters.endpoint import Endpoint
from guard.core.evidence import Difference
from guard.core.fingerprint import EXPECTED_BY_DEFAULT, Fingerprint
from guard.core.samples import Arm
from guard.core.verdict import Verdict, combine
from guard.errors import NotFoundError, UnauthorizedError, UnreachableError
from guard.gate.preflight import Answer, ask_both, judge_answers, judge_comparison
from guard.testing.runtime import Script, ScriptedRuntime

UP = Answer("http://up", ("chat",))
TWO = Answer("http://two", ("chat", "embed"))
OTHER = Answer("http://other", ("other",))
DEAD = Answer("http://dead", error=UnreachableError("http://dead: connection refused"))
LOCKED = Answer("http://locked", error=UnauthorizedError("http://locked answers 401"))
STRANGE = Answer("http://strange", error=NotFoundError("http://strange answers 404"))


@pytest.mark.parametrize(
    ("candidate", "baseline", "asked", "verdict", "model"),
    [
        pytest.param(UP, UP, None, "PASS", "chat", id="the only model is taken"),
        pytest.param(UP, None, None, "PASS", "chat", id="without a baseline"),
        pytest.param(TWO, UP, None, "PASS", "chat", id="the baseline's only model is what users ask for"),
        pytest.param(TWO, TWO, "embed", "PASS", "embed", id="the model that was named"),
        pytest.param(TWO, TWO, None, "ERROR", None, id="several models and none named"),
        pytest.param(DEAD, UP, None, "FAIL", None, id="only the candidate is dead"),
        pytest.param(DEAD, DEAD, None, "ERROR", None, id="both are dead"),
        pytest.param(DEAD, LOCKED, None, "ERROR", None, id="dead, and the baseline cannot be asked"),
        pytest.param(DEAD, None, None, "ERROR", None, id="dead, and nothing to compare"),
        pytest.param(UP, DEAD, None, "ERROR", None, id="only the baseline is dead"),
        pytest.param(LOCKED, UP, None, "ERROR", None, id="401 is a key that we lack, not a dead candidate"),
        pytest.param(STRANGE, UP, None, "ERROR", None, id="404 is a wrong URL, not a dead candidate"),
        pytest.param(OTHER, UP, "chat", "FAIL", None, id="the candidate lost the model of the baseline"),
        pytest.param(OTHER, OTHER, "chat", "ERROR", None, id="nobody serves the model"),
        pytest.param(OTHER, None, "chat", "ERROR", None, id="model not served, no baseline"),
        pytest.param(UP, OTHER, "chat", "ERROR", None, id="the baseline lacks the model"),
    ],
)  # fmt: skip
def test_suites_start_only_when_both_arms_serve_the_model(candidate, baseline, asked, verdict, model):
    found = judge_answers(candidate, baseline, asked)
    assert (combine(check.verdict for check in found.checks), found.model) == (Verdict(verdict), model)


def test_every_check_states_value_limit_samples_and_window():
    asked = replace(UP, seconds=0.2)
    same, _ = judge_comparison(Fingerprint(), Fingerprint(), EXPECTED_BY_DEFAULT)
    for check in (*judge_answers(asked, asked, None).checks, same):
        assert None not in (check.value, check.limit, check.samples, check.window_seconds), check.name


def test_model_that_is_not_served_names_those_that_are():
    reason = judge_answers(TWO, None, "chta").checks[-1].reason
    assert "'chta'" in reason
    assert "'chat', 'embed'" in reason


def test_unreachable_candidate_keeps_the_remedy_in_its_reason():
    assert "connection refused" in judge_answers(DEAD, UP, None).checks[0].reason


def test_confounded_comparison_is_refused_naming_field_values_and_remedy():
    one, other = Fingerprint(accelerator="A100", model="m"), Fingerprint(accelerator="H100", model="m")
    check, rows = judge_comparison(one, other, EXPECTED_BY_DEFAULT)
    assert check.verdict is Verdict.INCONCLUSIVE
    for part in ("accelerator is A100", "H100", "--expect-change accelerator"):
        assert part in check.reason
    assert {row.field: row.difference for row in rows}["accelerator"] is Difference.CONFOUNDED


def test_difference_that_the_change_says_is_expected_and_unknown_never_confounds():
    one = Fingerprint(runtime_version="1", accelerator="A100")
    other = Fingerprint(runtime_version="2")
    check, rows = judge_comparison(one, other, EXPECTED_BY_DEFAULT)
    found = {row.field: row.difference for row in rows}
    assert check.verdict is Verdict.PASS
    assert (found["runtime_version"], found["accelerator"]) == (Difference.EXPECTED, Difference.UNKNOWN)


def test_dead_arm_is_asked_again_before_it_is_believed_dead():
    pauses = []
    with ScriptedRuntime.serve(Script(model="chat"), host="127.50.1.1") as alive:
        dead = Endpoint("http://127.50.1.2:9")
        answers = ask_both(dead, Endpoint(alive.url, Arm.BASELINE), pauses.append)
    assert (len(pauses), answers[0].dead, answers[1].models) == (2, True, ("chat",))
    [check] = judge_answers(*answers, None).checks
    assert (check.value, check.limit, check.baseline_value, check.samples) == (0, 1, 1, 3)
    assert check.window_seconds > 0


def test_arm_that_comes_back_between_two_rounds_is_alive():
    with ScriptedRuntime.serve(Script(model="chat"), host="127.50.1.3") as runtime:
        endpoint = Endpoint(runtime.url)
    revived = []

    def revive(_seconds):
        port = int(endpoint.url.rpartition(":")[2])
        revived.append(ScriptedRuntime(Script(model="chat"), "127.50.1.3", port))
        revived[0].start()

    try:
        answer, _ = ask_both(endpoint, None, revive)
    finally:
        for again in revived:
            again.stop()
    assert answer.models == ("chat",)


def test_live_arms_are_asked_only_once():
    with ScriptedRuntime.serve(Script(model="chat"), host="127.50.1.4") as runtime:
        ask_both(Endpoint(runtime.url), None, pytest.fail)
