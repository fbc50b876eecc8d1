"""Claims about which events of a Change are worth telling, and that each is told once."""

from typing import Any

from guard.core.change import Intent, Phase
from guard.core.notification import Notification
from guard.core.verdict import Verdict
from guard.daemon.news import News
from tests.daemon.harness import START, Harness

GOOD = dict(canary=(2, 0), stable=(2, 0))
BAD = dict(canary=(2, 1), stable=(2, 0))


class Told:
    """Everything told of one harness's Change."""

    def __init__(self, harness: Harness) -> None:
        self.harness, self.events = harness, list[Notification]()
        self.news = News("inference", "prod-eu", START)
        template = {"spec": {"containers": [{"image": "vllm:0.32"}]}}
        plan = {"digest": "sha256:1", "stableTemplate": {"spec": {}}, "canaryTemplate": template}
        spec = {"guard": "chat", "ticket": "OPS-1", "requestedBy": "ann", "plan": plan}
        self.change: dict[str, Any] = {"metadata": {"name": "ops-1", "uid": "u"}, "spec": spec}

    def until(self, phase: str, most: int = 400, **traffic: Any) -> None:
        for _ in range(most):
            if self.harness.run.progress.phase == phase:
                return
            self.tick(**traffic)
        raise AssertionError(f"never {phase}")

    def tick(self, **traffic: Any) -> None:
        self.harness.tick(**traffic)
        self.events += self.news.of(self.harness.run, self.change, self.harness.turned.now)

    @property
    def words(self) -> list[str]:
        return [event.event for event in self.events]


def test_a_rollback_is_told_when_it_is_decided_and_when_it_is_over() -> None:
    told = Told(Harness())
    told.until(Phase.PROGRESSING, **GOOD)
    told.until(Phase.ROLLING_BACK, **BAD)
    assert told.words == ["RollingBack"]
    told.until(Phase.FINISHED, stable=(2, 0))
    assert told.words == ["RollingBack", "RolledBack"]
    over = told.events[-1]
    assert (over.verdict, over.environment) == (Verdict.FAIL, "prod-eu")
    assert over.change is not None
    assert (over.change.ticket, over.change.canary_images) == ("OPS-1", ("vllm:0.32",))
    assert over.signal is not None
    assert over.signal.name in ("errors", "hard_limit")
    assert over.signal.value is not None


def test_a_suite_that_fails_before_traffic_is_named_as_the_signal() -> None:
    harness = Harness()
    harness.suites["eval"] = Verdict.FAIL
    told = Told(harness)
    told.until(Phase.FINISHED, stable=(2, 0))
    assert told.words[-1] == "RolledBack"
    assert told.events[-1].signal is not None
    assert told.events[-1].signal.check == "eval-check"


def test_a_step_that_is_held_is_told_once_however_long_it_lasts() -> None:
    harness = Harness()
    harness.suites[("before-traffic", "smoke")] = Verdict.INCONCLUSIVE
    told = Told(harness)
    for _ in range(60):
        told.tick(stable=(2, 0))
    assert told.words == ["Held"]
    assert told.events[0].verdict is Verdict.INCONCLUSIVE
    assert told.events[0].signal is not None


def test_a_hold_that_an_operator_asked_for_is_no_news() -> None:
    told = Told(Harness())
    told.until(Phase.PROGRESSING, **GOOD)
    told.harness.run.intent = Intent.HOLD
    for _ in range(5):
        told.tick(**GOOD)
    assert told.words == []


def test_a_good_change_is_told_at_its_end() -> None:
    told = Told(Harness())
    told.until(Phase.FINISHED, **GOOD)
    assert told.words == ["Promoted"]
    assert told.events[0].signal is None


def test_in_advise_what_would_have_been_done_is_told() -> None:
    harness = Harness(enforcement="Advise")
    harness.target.weight = 10
    told = Told(harness)
    told.until(Phase.PROGRESSING, **GOOD)
    for _ in range(40):
        told.tick(**BAD)
    assert told.words == ["WouldRollBack"]


def test_what_an_earlier_guard_decided_is_not_told_again() -> None:
    told = Told(Harness())
    told.until(Phase.PROGRESSING, **GOOD)
    told.until(Phase.ROLLING_BACK, **BAD)
    told.news = News("inference", None, told.harness.turned.now + 1)
    told.harness.restart()
    told.events.clear()
    told.until(Phase.FINISHED, stable=(2, 0))
    assert told.words == ["RolledBack"]
