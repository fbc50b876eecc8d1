"""What a Change's run needs beside the cluster's watches: the runtime's key, and a folder for its evidence.

Either may be missing while users are on the canary. The run then goes on without: its suites are an ERROR,
which gives the canary no more traffic, and rollbacks, deadlines and operators are obeyed. Without the key
alone the evidence is kept and sealed all the same. Refuses to judge.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from guard.adapters.artifacts import OutputFolder
from guard.adapters.endpoint import Endpoint
from guard.adapters.kubernetes.client import CONFIG_MAPS, KubernetesClient
from guard.adapters.kubernetes.secrets import read_secret
from guard.api.suites import Suite
from guard.core.samples import Arm
from guard.daemon.observe import Namespace, Observation
from guard.daemon.record import Recorder, Render, Sealed, Subject
from guard.daemon.stage import Process
from guard.errors import ConfigurationError, TidegateError

if TYPE_CHECKING:
    from guard.daemon.change_run import ChangeRun


class Records(Protocol):
    """What a run tells of itself; see guard.daemon.record."""

    def saw(self, seen: Observation) -> Observation: ...
    def keep(self, run: "ChangeRun") -> None: ...
    def finish(self, run: "ChangeRun") -> Sealed: ...
    def start_suite(
        self, stage: str, suite: Suite, candidate: Endpoint, baseline: Endpoint | None
    ) -> Process: ...


@dataclass(frozen=True)
class Without:
    """A run without its folder: no suite, and no evidence but the status; `why` in words."""

    why: str

    def saw(self, seen: Observation) -> Observation:
        return seen

    def keep(self, run: "ChangeRun") -> None:
        pass

    def start_suite(
        self, stage: str, suite: Suite, candidate: Endpoint, baseline: Endpoint | None
    ) -> Process:
        raise ConfigurationError(self.why)

    def finish(self, run: "ChangeRun") -> Sealed:
        raise ConfigurationError(self.why)


@dataclass(frozen=True)
class Equipment:
    """One Change's; `lacks` says in words what is missing, None where nothing is.

    `folder` is the Change's own on the guard's volume; None where that cannot be used.
    """

    api_key: str | None
    records: Records
    lacks: str | None = None
    folder: OutputFolder | None = None

    @classmethod
    def of(
        cls, client: KubernetesClient, subject: Subject, artifacts: Path, render: Render, begun: bool
    ) -> "Equipment":
        """What there is.

        Args:
            begun: Users may be on its canary; before that a key that cannot be there refuses the Change.
        Raises:
            ConfigurationError: Not begun, and the Secret has no such key, or the folder is no folder.
        """

        def read_config_map(name: str) -> Mapping[str, str]:
            return dict(client.get(CONFIG_MAPS, subject.namespace, name).get("data") or {})

        api_key, keyless = _key_or_why(client, subject, begun)
        try:
            recorder = Recorder(artifacts, subject, render, read_config_map, api_key, keyless=keyless)
        except (TidegateError, OSError, ValueError) as error:
            if isinstance(error, ConfigurationError) and not begun:
                raise
            why = f"the folder for the evidence cannot be used: {error}"
            return cls(None, Without(why), why)
        return cls(api_key, recorder, keyless, recorder.folder)

    def targets(self, namespace: Namespace, subject: Subject) -> Callable[[], Mapping[Arm, list[Endpoint]]]:
        """Whom probes may ask: nobody without the key, whose absence would look like a canary's errors."""
        if self.lacks is not None:
            return dict
        guard = subject.spec.plan.guard
        return lambda: namespace.look(guard).endpoints(guard.target.runtime.port, self.api_key)


def _key_or_why(client: KubernetesClient, subject: Subject, begun: bool) -> tuple[str | None, str | None]:
    """The runtime's key, None where it needs none, or why it cannot be had."""
    try:
        return _api_key(client, subject), None
    except TidegateError as error:
        if isinstance(error, ConfigurationError) and not begun:
            raise
        return None, str(error)


def _api_key(client: KubernetesClient, subject: Subject) -> str | None:
    """The runtime's key, read when needed and never stored."""
    auth = subject.spec.plan.guard.target.auth
    if auth is None:
        return None
    return read_secret(client, subject.namespace, auth.secret_ref.name, auth.secret_ref.key)
