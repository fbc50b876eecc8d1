"""Claims about the shipped alert rules, dashboard and their page: they name only what is really exposed."""

import json
import re
import urllib.request
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from guard.adapters.budget_metrics import BudgetState
from guard.adapters.metrics import ChangeState, Metrics, MetricsServer, State, SuiteState
from guard.core.change import Phase, Reason
from guard.core.verdict import Verdict
from tests.daemon.conftest import ROOT

RULES = yaml.safe_load((ROOT / "deploy/prometheus-rule.yaml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
ALERTS = [rule for group in RULES["spec"]["groups"] for rule in group["rules"]]
ADDED = {"le"}  # by the histogram's own buckets


def full() -> Metrics:
    """Metrics of a guard in whose life everything has happened."""
    metrics = Metrics()
    metrics.expect_guard("inference", "chat")
    suite = SuiteState("chat", "smoke", 900.0, 1.0, Verdict.PASS, 2.0)
    change = ChangeState("chat", Phase.PROGRESSING, 25, Verdict.INCONCLUSIVE, held=True)
    alert = {"severity": "page", "long_seconds": 3600.0, "long_burn_rate": 15.0, "short_burn_rate": 20.0}
    budget = BudgetState("chat", "errors", 0.01, [alert | {"verdict": "FAIL"}])
    metrics.show(State("inference", True, 3.0, (suite,), (change,), (budget,)))
    metrics.suite_ended("inference", "chat", "smoke", Verdict.PASS, [0.1], [0.5])
    metrics.change_ended("inference", "chat", Reason.ROLLED_BACK, "ObjectiveFailed")
    metrics.webhook_failed("inference", "chat", "Timeout")
    return metrics


@pytest.fixture(scope="module")
def exposed() -> dict[str, set[str]]:
    """Series names and their labels, as scraped from a live page."""
    server = MetricsServer(full(), "127.0.0.1", 0)
    try:
        with urllib.request.urlopen(server.url) as page:
            families = list(text_string_to_metric_families(page.read().decode()))
    finally:
        server.stop()
    found: dict[str, set[str]] = {}
    for sample in (sample for family in families for sample in family.samples):
        found.setdefault(sample.name, set()).update(sample.labels)
    return found


def expressions() -> list[tuple[str, str]]:
    found = [(rule["alert"], rule["expr"]) for rule in ALERTS]
    found += [
        (panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]
    ]
    return found + [(entry["name"], entry["expr"]) for entry in DASHBOARD["annotations"]["list"]]


def parsed(expression: str) -> Any:
    return promql.parse(expression.replace("$__rate_interval", "5m"))


def selectors(expression: str) -> list[Any]:
    found: list[Any] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        if isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)
        return True

    promql.walk(parsed(expression), visit)
    return found


def names_in(expression: str) -> set[str]:
    return {selector.name for selector in selectors(expression)}


def grouping(expression: str) -> set[str]:
    """Labels of every by, without, on and ignoring."""
    lists = re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expression)
    return {label.strip() for text in lists for label in text.split(",") if label.strip()}


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_every_expression_asks_for_series_and_labels_that_exist(
    where: str, expression: str, exposed: dict[str, set[str]]
) -> None:
    labels: set[str] = set()
    assert selectors(expression), where
    for selector in selectors(expression):
        assert selector.name in exposed, f"{where}: nobody exposes {selector.name}"
        labels |= exposed[selector.name]
        asked = {matcher.name for matcher in selector.matchers.matchers}
        assert asked <= exposed[selector.name], f"{where}: {selector.name} has no {asked}"
    assert grouping(expression) <= labels | ADDED, where


def test_the_dashboards_variables_ask_for_series_that_exist(exposed: dict[str, set[str]]) -> None:
    asked = [
        variable["definition"] for variable in DASHBOARD["templating"]["list"] if "definition" in variable
    ]
    names = {name for text in asked for name in re.findall(r"tidegate_\w+", text)}
    assert names
    assert names <= exposed.keys()


def test_an_alerts_words_name_only_labels_that_its_expression_leaves() -> None:
    for rule in ALERTS:
        used = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        by = re.search(r"^sum by \(([^)]*)\)|^max by \(([^)]*)\)", rule["expr"])
        if by:
            left = {label.strip() for label in (by[1] or by[2]).split(",")}
            assert used <= left, rule["alert"]


def test_a_verdict_that_an_expression_names_is_one() -> None:
    words = {str(verdict) for verdict in Verdict}
    for where, expression in expressions():
        for selector in selectors(expression):
            for matcher in selector.matchers.matchers:
                if matcher.name == "verdict":
                    assert set(matcher.value.split("|")) <= words, where


def _rows() -> dict[str, list[str]]:
    rows = re.findall(r"^\| `(tidegate_\w+)` \|(.*)\|$", PAGE, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}


def test_the_page_lists_every_metric_with_its_labels_and_no_other(exposed: dict[str, set[str]]) -> None:
    histograms = {name.removesuffix("_bucket") for name in exposed if name.endswith("_bucket")}
    real: dict[str, set[str]] = {}
    for name, labels in exposed.items():
        bare = re.sub(r"_(bucket|sum|count)$", "", name)
        real.setdefault(bare if bare in histograms else name, set()).update(labels - ADDED)
    listed = {name: {label.strip() for label in cells[1].split(",")} for name, cells in _rows().items()}
    assert listed == real


def test_the_page_says_of_every_metric_which_alert_and_panel_use_it() -> None:
    for name, (kind, _, _, alerts, panels) in _rows().items():
        series = {name} if kind != "histogram" else {f"{name}_bucket"}
        uses = {rule["alert"] for rule in ALERTS if names_in(rule["expr"]) & series}
        shows = {
            panel["title"]
            for panel in DASHBOARD["panels"]
            if any(names_in(target["expr"]) & series for target in panel["targets"])
        }
        assert {word.strip() for word in alerts.split(",") if word} == uses, name
        assert {word.strip() for word in panels.split(";") if word} == shows, name


def test_every_alert_is_on_the_page_with_its_first_look() -> None:
    assert set(re.findall(r"^\| (Tidegate\w+) \|", PAGE, re.MULTILINE)) == {rule["alert"] for rule in ALERTS}
