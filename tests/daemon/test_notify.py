"""Claims about whom a Guard's notifications go to when its spec is edited; nobody takes them."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from guard.adapters.metrics import Metrics
from guard.adapters.notify.webhook import Destination
from guard.api.guard import Notification as Wanted
from guard.core.notification import Notification
from guard.daemon.notify import Notifier
from guard.errors import ConfigurationError

NOW = 1_800_000_000.0
PATIENCE_SECONDS = 20.0
EVENT = Notification("RolledBack", "2027-01-15T08:00:00Z", "inference", "chat", "it is back", "kubectl", "k")


def wanted(*secrets: str) -> tuple[Wanted, ...]:
    return tuple(Wanted.model_validate({"webhook": {"secretRef": {"name": name}}}) for name in secrets)


def guard(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "chat", "generation": 1}, "status": {"conditions": list(conditions)}}


def said(status: str, secret: str) -> dict[str, Any]:
    return {"type": "Notified", "status": status, "message": f"guard chat, Secret {secret}: no answer"}


@pytest.fixture
def notifier(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notifier]:
    """Of webhooks whose Secrets cannot be read: each message fails at once."""

    def read_secret(*_: object) -> str:
        raise ConfigurationError("there is no such Secret")

    monkeypatch.setattr("guard.daemon.notify.read_secret", read_secret)
    monkeypatch.setattr("guard.daemon.notify.Destination", partial(Destination, attempts=1))
    found = Notifier(None, "inference", Metrics())  # type: ignore[arg-type]
    yield found
    found.settle(0.0)


def failed(notifier: Notifier, *secrets: str) -> dict[str, Any] | None:
    """A message to each is given up; the condition after it."""
    notifier.keep({"chat": wanted(*secrets)}, ["chat"])
    notifier.tell(wanted(*secrets), EVENT)
    for destination in notifier._destinations.values():
        assert destination.settle(PATIENCE_SECONDS)
    found = notifier.condition(guard(), NOW)
    return dict(found) if found else None


def test_a_webhook_that_the_guard_names_no_more_is_not_told_of_and_its_thread_ends(
    notifier: Notifier,
) -> None:
    condition = failed(notifier, "old")
    assert condition is not None
    assert (condition["status"], condition["reason"]) == ("False", "SecretNotReadable")
    (thread,) = (destination._thread for destination in notifier._destinations.values())
    notifier.keep({"chat": wanted("new")}, ["chat"])
    assert notifier.condition(guard(condition), NOW) is None
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_a_webhook_that_is_still_named_is_told_of_when_another_goes(notifier: Notifier) -> None:
    failed(notifier, "old", "kept")
    notifier.keep({"chat": wanted("kept")}, ["chat"])
    condition = notifier.condition(guard(), NOW)
    assert condition is not None
    assert condition["message"].startswith("guard chat, Secret kept: ")


def test_a_guard_that_cannot_be_read_keeps_its_webhooks_and_one_that_is_gone_does_not(
    notifier: Notifier,
) -> None:
    failed(notifier, "hook")
    notifier.keep({}, ["chat"])
    assert notifier.condition(guard(), NOW) is not None
    notifier.keep({}, [])
    assert notifier.condition(guard(), NOW) is None


@pytest.mark.parametrize(
    ("known", "names", "stands"),
    [
        (said("False", "hook"), ("hook",), True),
        (said("False", "hook"), ("hook-2",), False),
        (said("False", "hook-2"), ("hook",), False),
        ({"type": "Notified", "status": "True", "message": "the last have arrived"}, ("hook",), True),
        ({"type": "Notified", "status": "True", "message": "the last have arrived"}, (), False),
    ],
    ids=["still named", "another is named", "a longer name", "all arrived", "nobody is to be told"],
)
def test_what_an_earlier_guard_said_stands_while_the_webhook_is_named(
    notifier: Notifier, known: dict[str, Any], names: tuple[str, ...], stands: bool
) -> None:
    notifier.keep({"chat": wanted(*names)}, ["chat"])
    assert notifier.condition(guard(known), NOW) == (known if stands else None)
