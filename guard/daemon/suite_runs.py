"""SuiteRun objects and their folders: the history of a Guard's scheduled suites, kept up to a limit.

Owns names, status and clearing away. Refuses to know when a suite is due and how it is judged.
"""

import contextlib
import json
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from guard.adapters.artifacts import OutputFolder
from guard.adapters.kubernetes.client import SUITE_RUNS, KubernetesClient, Object
from guard.api.suite_run import SuiteRunSpec
from guard.core.schedule import superseded
from guard.core.text import one_line
from guard.core.verdict import Verdict
from guard.daemon.clock import rfc3339
from guard.errors import ConflictError, NotFoundError

FOLDER = "suite_runs"  # an underscore: no Change can have this name
_REASONS = {
    Verdict.PASS: "Passed",
    Verdict.FAIL: "Failed",
    Verdict.ERROR: "Error",
    Verdict.NO_DATA: "NoData",
    Verdict.INCONCLUSIVE: "Inconclusive",
}
STOPPED = "Stopped"


class SuiteRuns:
    """The SuiteRuns of one namespace. Every call talks to the API; none belongs into a tick."""

    def __init__(self, client: KubernetesClient, namespace: str, artifacts: Path) -> None:
        self._client, self._namespace = client, namespace
        self._folder = artifacts.absolute() / namespace / FOLDER

    def begin(self, guard: Object, spec: SuiteRunSpec, now: float) -> str | None:
        """The name of a new run; None where this suite has been begun for this time already.

        The name follows from Guard, suite and minute, so that no second guard runs it again.
        """
        minute = int(datetime.fromisoformat(spec.scheduled_at).timestamp()) // 60
        name = f"{spec.guard[:200]}-{spec.suite.name}-{minute}"
        owner = {
            "apiVersion": guard["apiVersion"],
            "kind": guard["kind"],
            "name": guard["metadata"]["name"],
            "uid": guard["metadata"]["uid"],
        }
        body = {
            "apiVersion": "tidegate.dev/v1alpha1",
            "kind": "SuiteRun",
            "metadata": {"name": name, "namespace": self._namespace, "ownerReferences": [owner]},
            "spec": spec.to_document(),
        }
        try:
            self._client.create(SUITE_RUNS, self._namespace, body)
        except ConflictError:
            return None
        self._patch(name, {"phase": "Running", "startedAt": rfc3339(now)})
        return name

    def folder(self, name: str, api_key: str | None) -> OutputFolder:
        """Where the evidence of a run goes; the key is only there to be removed."""
        folder = OutputFolder(self._folder / name, [api_key] if api_key else [])
        folder.evidence.mkdir(parents=True, exist_ok=True)
        return folder

    def finish(
        self, name: str, verdict: Verdict | None, message: str, now: float, folder: OutputFolder | None = None
    ) -> None:
        """Writes what came of it; without verdict it was ended, and says nothing of the target."""
        message = one_line(message, 400)
        condition = {
            "type": "Finished",
            "status": "True",
            "reason": _REASONS[verdict] if verdict else STOPPED,
            "message": message,
            "lastTransitionTime": rfc3339(now),
        }
        status = {
            "phase": "Finished",
            "verdict": str(verdict) if verdict else None,
            "message": message,
            "finishedAt": rfc3339(now),
            "evidence": str(folder.path) if folder else None,
            "fingerprint": _fingerprint(folder),
            "conditions": [condition],
        }
        self._patch(name, status)

    def all(self) -> list[Object]:
        """Every run of the namespace, oldest first."""
        items = self._client.list(SUITE_RUNS, self._namespace)["items"]
        return sorted(items, key=lambda run: (run["spec"]["scheduledAt"], run["metadata"]["name"]))

    def end_orphans(self, runs: list[Object], now: float) -> None:
        """Says of runs whose guard has died that they are over."""
        for run in runs:
            if status_of(run).get("phase") != "Finished":
                self.finish(run["metadata"]["name"], None, "the guard that ran it has ended", now)

    def clear(self, guard: str) -> None:
        """Removes a Guard's runs that are past the limit, with their evidence."""
        mine = [run for run in self.all() if run["spec"]["guard"] == guard]
        finished = [run for run in mine if status_of(run).get("phase") == "Finished"]
        passed = {
            run["metadata"]["name"]: status_of(run).get("verdict") in (None, Verdict.PASS) for run in finished
        }
        for name in superseded(passed):
            with contextlib.suppress(NotFoundError):
                self._client.delete(SUITE_RUNS, self._namespace, name)
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def _patch(self, name: str, status: Mapping[str, Any]) -> None:
        self._client.patch_merge(SUITE_RUNS, self._namespace, name, {"status": dict(status)}, "status")


def status_of(run: Object) -> Mapping[str, Any]:
    return run.get("status") or {}


def _fingerprint(folder: OutputFolder | None) -> Mapping[str, Any] | None:
    """What the target told of itself; None where it was not asked."""
    if folder is None:
        return None
    try:
        document = json.loads((folder.evidence / "fingerprints.json").read_bytes())
    except (OSError, ValueError):
        return None
    found: Mapping[str, Any] = document["candidate"]
    return found
