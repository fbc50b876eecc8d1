"""Ages as kubectl prints them. Source: k8s.io/apimachinery/pkg/util/duration."""

from datetime import UTC, datetime


def duration(seconds: float) -> str:
    """`5s`, `2m30s`, `3h20m`, `5d`: precise while it is young."""
    total = int(seconds)
    if total < 0:
        return "<invalid>" if total < -1 else "0s"
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if minutes < 2:
        return f"{total}s"
    if minutes < 10:
        return f"{minutes}m" + (f"{total % 60}s" if total % 60 else "")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h" + (f"{minutes % 60}m" if minutes % 60 else "")
    if days < 2:
        return f"{hours}h"
    if days < 8:
        return f"{days}d" + (f"{hours % 24}h" if hours % 24 else "")
    if days < 730:
        return f"{days}d"
    return f"{days // 365}y" + (f"{days % 365}d" if days < 2920 and days % 365 else "")


def instant(text: str) -> datetime | None:
    """A metav1.Time or MicroTime; None when it is none."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except (ValueError, AttributeError):
        return None


def age(text: str | None) -> str:
    """Time since a time stamp; `<unknown>` without one."""
    since = instant(text or "")
    return "<unknown>" if since is None else duration((datetime.now(UTC) - since).total_seconds())
