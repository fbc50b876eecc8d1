"""The forms of a notification: Tidegate's own document, and what Slack's incoming webhooks take."""

from collections.abc import Callable
from typing import Any

from guard.core.notification import Notification
from guard.core.text import one_line

_SLACK_TEXT = 2900  # Slack refuses a text block of more than 3000 characters
_MARKS = {
    "RolledBack": "🔴",
    "RollingBack": "🔴",
    "ProbeFailed": "🔴",
    "ErrorBudgetBurning": "🔴",
    "Promoted": "🟢",
    "ProbeRecovered": "🟢",
    "ErrorBudgetRecovered": "🟢",
}


def tidegate_body(notification: Notification) -> dict[str, Any]:
    return notification.to_json()


def slack_body(notification: Notification) -> dict[str, Any]:
    """Plain text only: a reason may quote what others wrote, and must not mention anyone or draw a link."""
    where = "/".join(filter(None, (notification.environment, notification.namespace, notification.guard)))
    head = f"{_MARKS.get(notification.event, '🟡')} {notification.event}: {where}"
    lines = [one_line(notification.summary, _SLACK_TEXT // 2), *_facts(notification)]
    return {
        "text": _escaped(f"{head}: {one_line(notification.summary, 300)}"),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": one_line(head, 150), "emoji": False}},
            _section("\n".join(lines)[:_SLACK_TEXT]),
        ],
    }


BODIES: dict[str, Callable[[Notification], dict[str, Any]]] = {
    "Tidegate": tidegate_body,
    "Slack": slack_body,
}


def _facts(notification: Notification) -> list[str]:
    lines = []
    if notification.verdict is not None:
        lines.append(f"Verdict: {notification.verdict}")
    if notification.signal is not None:
        lines.append(f"Signal: {notification.signal.in_words()}")
    if change := notification.change:
        images = f"{', '.join(change.stable_images)} -> {', '.join(change.canary_images)}"
        lines.append(f"Change: {change.name} (ticket {change.ticket}, {change.risk}, {change.requested_by})")
        lines.append(f"Images: {images}; canary at {change.weight_percent} %")
    if notification.probe:
        lines.append(f"Probe: suite {notification.probe.suite}, run {notification.probe.suite_run}")
    lines.append(f"More: {notification.command}")
    if notification.evidence:
        lines.append(f"Evidence: {notification.evidence}")
    return [one_line(line, 500) for line in lines]


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}


def _escaped(text: str) -> str:
    """Slack reads `<!channel>` and `<URL|text>` in this field; these three are what it wants escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
