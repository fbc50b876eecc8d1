"""Claims about the metrics themselves; tests/deploy holds names and labels to the page that lists them."""

import socket

import pytest
from prometheus_client import generate_latest

from guard.adapters.budget_metrics import BudgetState
from guard.adapters.metrics import OTHER, ChangeState, Metrics, MetricsServer, State
from guard.core.change import Phase, Reason
from guard.errors import ConfigurationError


def test_a_port_that_is_taken_is_refused_by_its_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"--metrics-port {port} on 127.0.0.1: Address already"):
            MetricsServer(Metrics(), "127.0.0.1", port)


def test_a_reason_that_nobody_listed_becomes_other_so_that_labels_stay_bounded() -> None:
    metrics = Metrics()
    metrics.change_ended("n", "chat", Reason.ROLLED_BACK, "<model text>")
    metrics.webhook_failed("n", "chat", "https://chat.example/secret")
    page = generate_latest(metrics.registry).decode()
    assert "model text" not in page
    assert "chat.example" not in page
    assert page.count(f'reason="{OTHER}"') == 2


def test_only_what_was_rolled_back_counts_as_a_rollback() -> None:
    metrics = Metrics()
    metrics.expect_guard("n", "chat")
    metrics.change_ended("n", "chat", Reason.ABANDONED, "DeadlineExceeded")
    rollbacks = [
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "tidegate_rollbacks_total"
    ]
    assert rollbacks
    assert sum(rollbacks) == 0


def test_a_change_that_is_over_is_gone_from_the_page() -> None:
    metrics = Metrics()
    metrics.show(State("n", True, 1.0, (), (ChangeState("chat", Phase.TESTING, 0, None, held=False),)))
    assert 'phase="Testing"} 1.0' in generate_latest(metrics.registry).decode()
    metrics.show(State("n", True, 2.0))
    assert "phase=" not in generate_latest(metrics.registry).decode()


def test_a_burn_rate_that_is_not_known_is_absent_and_not_zero() -> None:
    metrics = Metrics()
    rates = {"long_burn_rate": None, "short_burn_rate": 0.0}
    alert = {"severity": "page", "long_seconds": 3600.0, "verdict": "NO_DATA", **rates}
    metrics.show(State("n", True, 1.0, budgets=(BudgetState("chat", "errors", 0.01, [alert]),)))
    page = generate_latest(metrics.registry).decode()
    assert [line for line in page.splitlines() if line.startswith("tidegate_error_budget")] == [
        'tidegate_error_budget_ratio{guard="chat",namespace="n",objective="errors"} 0.01',
        "tidegate_error_budget_burn_rate"
        '{guard="chat",namespace="n",objective="errors",pair="1h",window="short"} 0.0',
    ]


def test_nothing_of_the_process_itself_is_exposed() -> None:
    names = {family.name for family in Metrics().registry.collect()}
    assert all(name.startswith("tidegate_") for name in names)
