"""Claims about a Guard's error budgets: what burns, what is told of it, and what a restart leaves of it."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from guard.adapters.budget_metrics import budget_gauges
from guard.api.fields import parse
from guard.api.guard import GuardSpec
from guard.core.budget_history import BudgetHistory
from guard.core.comparison import ArmCounts
from guard.daemon.budget_store import FOLDER, BudgetStore, Remembered
from guard.daemon.clock import rfc3339
from guard.daemon.error_budgets import CONDITION, BudgetNews, ErrorBudgets
from tests.daemon.conftest import NAMESPACE, documents

NOW = 1_800_057_600.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
GAP = 4 * MINUTE  # by plan, between two runs of smoke: short windows are widened to 5.4 minutes
ERRORS = {"signal": "errors", "limit": "5%"}
TTFT = {"signal": "ttft", "quantile": "p95", "limit": "10s"}
GOOD, BAD = ArmCounts(0, 4), ArmCounts(4, 4)
BURNING, RECOVERED = "ErrorBudgetBurning", "ErrorBudgetRecovered"


class Stand:
    """One Guard with smoke on schedule, at a clock that only the test moves."""

    def __init__(self, artifacts: Path, *objectives: dict[str, str]) -> None:
        (self.guard,) = documents("stack/manifests/demo/guard.yaml")
        self.guard["metadata"] |= {"uid": "u1", "generation": 3}
        self.artifacts, self.now, self.gap = artifacts, NOW, GAP
        self.told: list[BudgetNews] = []
        self.wants(*objectives)
        self.restart()

    def wants(self, *objectives: dict[str, str]) -> None:
        spec = deepcopy(self.guard["spec"]) | {"objectives": list(objectives)}
        self.spec = parse(GuardSpec, spec, "Guard")

    def restart(self) -> None:
        self.budgets = ErrorBudgets(NAMESPACE, self.artifacts)

    def judge(self) -> list[BudgetNews]:
        self.told += self.budgets.judge({"chat": (self.guard, self.spec)}, self.gaps(), self.now)
        self.budgets.condition(self.guard, self.now)
        return self.told

    def gaps(self) -> dict[str, dict[str, float]]:
        return {"chat": {"smoke": self.gap}} if self.gap else {}

    def runs(self, seconds: float, counts: ArmCounts, key: str = "errors") -> None:
        """A run at every gap for so long; the last one is now."""
        for _ in range(round(seconds / GAP)):
            self.now += GAP
            self.budgets.take(self.guard, {key: counts} if counts.total else {}, self.now)
            self.judge()

    def condition(self) -> dict[str, Any]:
        self.judge()
        found = self.budgets.condition(self.guard, self.now)
        assert found is not None
        assert found["type"] == CONDITION
        return dict(found)

    def ran(self, seconds: float, counts: ArmCounts) -> None:
        """As `runs`, by an earlier guard."""
        history = BudgetHistory()
        for _ in range(round(seconds / GAP)):
            self.now += GAP
            history.add(self.now, counts)
        history.forget(self.now)
        BudgetStore(NAMESPACE, self.artifacts).save("chat", "u1", Remembered({"errors": history}))

    def said(self) -> tuple[str, str]:
        found = self.condition()
        return found["status"], found["reason"]

    def gauges(self) -> dict[tuple[str, ...], float]:
        found = budget_gauges("n", self.budgets.states())
        return {(g.name, *labels[3:]): value for g in found for labels, value in g.samples}

    @property
    def file(self) -> Path:
        return self.artifacts / NAMESPACE / FOLDER / "chat.json"


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path, ERRORS)


@pytest.fixture
def sound(stand: Stand) -> Stand:
    """After three days of good runs."""
    stand.ran(3 * DAY, GOOD)
    return stand


def test_too_few_runs_are_unknown_and_never_said_not_to_burn(stand: Stand) -> None:
    assert stand.said() == ("Unknown", "TooFewRuns")
    stand.runs(HOUR, GOOD)
    assert stand.said() == ("Unknown", "TooFewRuns")
    assert "no data in 3 d, no data in 6 h (ticket above 1)" in stand.condition()["message"]
    assert stand.told == []


def test_three_days_of_good_runs_do_not_burn_and_a_silent_day_is_unknown_again(sound: Stand) -> None:
    assert sound.said() == ("False", "NotBurning")
    sound.now += DAY
    assert sound.said() == ("Unknown", "TooFewRuns")


def test_an_hour_of_failures_pages_and_the_message_names_windows_and_rates(sound: Stand) -> None:
    sound.runs(HOUR, BAD)
    found = sound.condition()
    assert (found["status"], found["reason"], found["observedGeneration"]) == ("True", "BurnsFast", 3)
    assert found["message"] == (
        "errors: 18.7 in 1 h, 20 in 5.4 min (page FIRES, above 14.4); "
        "3.3 in 6 h, 20 in 30 min (page above 6); 0.278 in 3 d, 3.3 in 6 h (ticket above 1)"
    )
    (news,) = sound.told
    assert (news.event, sound.now - news.at) == (BURNING, 12 * MINUTE)
    assert news.summary.startswith("errors: 15 in 1 h, 20 in 5.4 min (page FIRES, above 14.4); ")


def test_what_one_run_has_lost_wakes_nobody_and_what_the_next_one_loses_does(sound: Stand) -> None:
    sound.wants(ERRORS | {"limit": "0.4%"})
    sound.runs(GAP, BAD)
    assert "15.6 in 1 h, 125 in 5.4 min (page above 14.4)" in sound.condition()["message"]
    assert (sound.said(), sound.told) == (("False", "NotBurning"), [])
    sound.runs(GAP, BAD)
    assert [news.event for news in sound.told] == [BURNING]


def test_a_slow_burn_opens_a_ticket(stand: Stand) -> None:
    stand.ran(3 * DAY, ArmCounts(1, 12))
    assert stand.said() == ("True", "BurnsSlowly")
    assert {news.check.detail["severity"] for news in stand.told} == {"ticket"}


def test_what_stopped_burning_is_told_once_and_its_condition_says_since_when(sound: Stand) -> None:
    sound.runs(HOUR, BAD)
    since = sound.told[0].at
    assert sound.condition()["lastTransitionTime"] == rfc3339(since)
    sound.runs(HOUR, GOOD)
    assert sound.said() == ("False", "NotBurning")
    assert [news.event for news in sound.told] == [BURNING, RECOVERED]
    assert sound.condition()["lastTransitionTime"] == rfc3339(sound.told[1].at)


def test_a_fault_of_the_instrument_is_neither_good_nor_bad(sound: Stand) -> None:
    sound.judge()
    before = sound.file.read_bytes()
    sound.runs(HOUR, ArmCounts(0, 0))
    assert sound.file.read_bytes() == before
    assert sound.said() == ("Unknown", "TooFewRuns")


def test_a_restart_knows_three_days_and_does_not_tell_again(sound: Stand) -> None:
    sound.runs(HOUR, BAD)
    told, condition = list(sound.told), sound.condition()
    assert told
    sound.guard["status"] = {"conditions": [condition]}
    sound.restart()
    sound.now += MINUTE
    assert sound.said() == ("True", "BurnsFast")
    assert sound.condition()["lastTransitionTime"] == condition["lastTransitionTime"]
    assert sound.told == told


def test_another_guard_of_the_same_name_begins_anew(sound: Stand) -> None:
    sound.guard["metadata"]["uid"] = "u2"
    sound.now += MINUTE
    assert sound.said() == ("Unknown", "TooFewRuns")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"format": "tidegate.dev/error-budgets/v0", "uid": "u1", "probes": {}, "told": {}}',
        b'{"format": "tidegate.dev/error-budgets/v1", "uid": "u1", "probes": {"errors": [[1]]}, "told": {}}',
    ],
    ids=["empty", "no object", "another format", "rows that are none"],
)
def test_a_damaged_file_is_told_of_and_begun_anew(
    sound: Stand, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    sound.file.write_bytes(content)
    sound.restart()
    assert sound.said() == ("Unknown", "TooFewRuns")
    assert "guard chat: error budgets begin anew" in caplog.text
    sound.runs(GAP, GOOD)
    assert json.loads(sound.file.read_bytes())["probes"]["errors"][0][1:] == [0, 4, 1, 0]


def test_a_folder_that_cannot_be_written_holds_no_judgement_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / NAMESPACE).mkdir()
    (tmp_path / NAMESPACE / FOLDER).write_text("a file")
    stand = Stand(tmp_path, ERRORS)
    stand.runs(HOUR, BAD)
    assert stand.said() == ("True", "BurnsFast")
    assert "could not be saved" in caplog.text


def test_each_objective_has_a_budget_of_its_own(tmp_path: Path) -> None:
    stand = Stand(tmp_path, ERRORS, TTFT)
    for _ in range(15):
        stand.now += GAP
        stand.budgets.take(stand.guard, {"errors": GOOD, "ttft>10s": ArmCounts(5, 5)}, stand.now)
    message = stand.condition()["message"]
    assert message.startswith("errors: 0 in 1 h, 0 in 5.4 min (page above 14.4); ")
    assert "ttft-p95: 20 in 1 h, 20 in 5.4 min (page FIRES, above 14.4)" in message
    assert {news.check.signal for news in stand.told} == {"ttft-p95"}


def test_another_latency_limit_does_not_judge_by_the_old_ones_counts(tmp_path: Path) -> None:
    stand = Stand(tmp_path, TTFT)
    stand.runs(HOUR, BAD, "ttft>10s")
    assert stand.said() == ("True", "BurnsFast")
    stand.wants(TTFT | {"limit": "20s"})
    stand.now += MINUTE
    assert stand.said() == ("Unknown", "TooFewRuns")
    stand.now += 4 * DAY
    stand.runs(GAP, GOOD, "ttft>20s")
    assert list(json.loads(stand.file.read_bytes())["probes"]) == ["ttft>20s"], "what is over is forgotten"


def test_of_two_objectives_of_one_name_the_strictest_has_the_budget(tmp_path: Path) -> None:
    stand = Stand(tmp_path, ERRORS, ERRORS | {"limit": "1%"}, ERRORS | {"limit": "2%"})
    stand.judge()
    assert [state.budget_ratio for state in stand.budgets.states()] == [0.01]


@pytest.mark.parametrize(
    ("objectives", "gap"),
    [((), GAP), ((ERRORS,), 0.0), (({"signal": "itl", "quantile": "p95", "limit": "1s"},), GAP)],
    ids=["no objective", "no schedule", "none that smoke says anything of"],
)
def test_without_an_objective_that_is_probed_there_is_no_budget(
    tmp_path: Path, objectives: tuple[dict[str, str], ...], gap: float
) -> None:
    stand = Stand(tmp_path, *objectives)
    stand.gap = gap
    stand.judge()
    assert stand.budgets.condition(stand.guard, NOW) is None
    assert list(stand.budgets.states()) == []


def test_the_metrics_show_rates_that_are_known_and_whether_each_severity_burns(stand: Stand) -> None:
    stand.runs(HOUR, BAD)
    rate, burning = "tidegate_error_budget_burn_rate", "tidegate_error_budget_burning"
    assert stand.gauges() == {
        ("tidegate_error_budget_ratio",): 0.05,
        (rate, "1h", "long"): pytest.approx(20),
        (rate, "1h", "short"): pytest.approx(20),
        (rate, "6h", "short"): pytest.approx(20),
        (burning, "page"): 1.0,
    }


def test_a_severity_whose_pairs_could_not_all_be_judged_is_absent_and_not_zero(sound: Stand) -> None:
    sound.judge()
    burning = "tidegate_error_budget_burning"
    assert {k: v for k, v in sound.gauges().items() if k[0] == burning} == {
        (burning, "page"): 0.0,
        (burning, "ticket"): 0.0,
    }
    sound.now += 20 * MINUTE
    sound.judge()
    assert {k: v for k, v in sound.gauges().items() if k[0] == burning} == {(burning, "ticket"): 0.0}


def test_a_guard_that_does_not_lead_shows_no_budget(sound: Stand) -> None:
    sound.budgets.drop()
    assert list(sound.budgets.states()) == []
    assert sound.budgets.condition(sound.guard, sound.now) is None
