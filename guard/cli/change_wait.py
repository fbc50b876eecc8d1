"""`tidegate change wait`: a Change's way to its end, told as it goes, and an exit code for a pipeline.

Owns the following. What an end is worth is `guard.core.change.exit_code`. A Change is asked for again and
again rather than watched: a wait of hours must outlive a gateway that cuts streams, and an API that is away
for a moment.
"""

import json
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import click

from guard.cli.kube import change_named

if TYPE_CHECKING:
    from guard.adapters.kubernetes.client import KubernetesClient

POLL_SECONDS = 1.0
AWAY_SECONDS = 60.0  # arbitrary: longer than an API server's restart
CANNOT_TELL = 3

TABLE = """\b
Exit codes:
  0  Promoted; or Observed, and nothing spoke against it
  1  RolledBack; or Observed, and it would have been
  2  Abandoned, or Observed without a verdict: nothing was decided
  3  Refused, gone, not ended in time, or the cluster cannot be asked"""


def wait_for_end(
    client: "KubernetesClient", namespace: str, name: str, timeout_seconds: float, as_json: bool
) -> int:
    """Tells each line of the timeline on stderr, the end on stdout, and gives back the exit code.

    Raises:
        TidegateError: There is no such Change, or the API was away for `AWAY_SECONDS`.
    """
    change, deadline, told = change_named(client, namespace, name), monotonic() + timeout_seconds, Told()
    uid = change["metadata"]["uid"]
    while not told.ended(change):
        if monotonic() >= deadline:
            return _gave_up(change, as_json, "not ended within --timeout")
        sleep(POLL_SECONDS)
        found = _asked(client, namespace, name)
        if found is None or found["metadata"]["uid"] != uid:
            return _gave_up(change, as_json, "deleted before it ended")
        change = found
    code = _code(change["status"])
    _say(change, code, as_json)
    return code


class Told:
    """Which lines of a timeline have been told; the guard keeps only its last ones in the status."""

    def __init__(self) -> None:
        self._lines: set[tuple[str, str, str]] = set()

    def ended(self, change: dict[str, Any]) -> bool:
        """Tells what is new; True once the Change is over."""
        from guard.core.text import one_line

        status = change.get("status") or {}
        for entry in status.get("timeline") or []:
            line = (entry["at"], entry["kind"], entry["message"])
            if line not in self._lines:
                self._lines.add(line)
                click.echo(one_line(f"{entry['kind']}: {entry['message']}"), err=True)
        return bool(status.get("phase") == "Finished")


def _asked(client: "KubernetesClient", namespace: str, name: str) -> dict[str, Any] | None:
    """The Change; None when it is gone. An API that does not answer is asked again for a while."""
    from guard.adapters.kubernetes.client import CHANGES
    from guard.errors import NotFoundError, UnreachableError

    away_until = monotonic() + AWAY_SECONDS
    while True:
        try:
            return client.get(CHANGES, namespace, name)
        except NotFoundError:
            return None
        except UnreachableError:
            if monotonic() >= away_until:
                raise
            sleep(POLL_SECONDS)


def _code(status: dict[str, Any]) -> int:
    from guard.core.change import Reason, exit_code
    from guard.core.verdict import Verdict

    verdict, would = status.get("verdict"), status.get("wouldHave") or {}
    return exit_code(Reason(status["reason"]), Verdict(verdict) if verdict else None, would.get("action"))


def _gave_up(change: dict[str, Any], as_json: bool, why: str) -> int:
    status = change.get("status") or {}
    where = ": ".join(str(status[key]) for key in ("phase", "reason", "message") if status.get(key))
    last = f"; it was {where}" if where else "; no guard has taken it up: is one running in this namespace?"
    click.echo(f"tidegate: change/{change['metadata']['name']} {why}{last}", err=True)
    if as_json:
        _say(change, CANNOT_TELL, as_json)
    return CANNOT_TELL


def _say(change: dict[str, Any], code: int, as_json: bool) -> None:
    from guard.core.text import one_line

    status, metadata = change.get("status") or {}, change["metadata"]
    if as_json:
        head = {"name": metadata["name"], "namespace": metadata["namespace"], "exit_code": code}
        click.echo(json.dumps({**head, "status": status}))
    else:
        click.echo(one_line(f"change/{metadata['name']} {status['reason']}: {status['message']}", 1000))
