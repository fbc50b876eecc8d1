"""A Change's suites as processes of their own, whose files stay in its evidence.

Owns the folder of each run, the config and data set that it is given, and how its result is kept from saying
the runtime's key. Refuses to judge a result.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from guard.adapters.artifacts import OutputFolder
from guard.adapters.endpoint import Endpoint
from guard.adapters.suite_runner import start_suite
from guard.api.change import ChangeSpec
from guard.api.fields import seconds
from guard.api.suites import Dataset, EvalSuite, Suite, SuitesConfig
from guard.core.check import SuiteResult
from guard.daemon.stage import Process
from guard.errors import ConfigurationError

CONFIG_FILE = "suites-config.json"
API_KEY_ENV = "TIDEGATE_TARGET_API_KEY"  # of the suites' processes alone


class RecordedSuites:
    """One Change's; `read_config_map` gives a ConfigMap's data by its name."""

    def __init__(
        self, folder: OutputFolder, spec: ChangeSpec, read_config_map: Callable[[str], Mapping[str, str]]
    ) -> None:
        self._folder, self._spec = folder, spec
        self._read_config_map = read_config_map
        self._runs = len(list(folder.evidence.glob("suites/*")))

    def start(self, stage: str, suite: Suite, candidate: Endpoint, baseline: Endpoint | None) -> Process:
        """One suite under way.

        Raises:
            ConfigurationError: Its dataset cannot be used.
            OSError: Its folder cannot.
        """
        self._runs += 1
        out = self._folder.evidence / "suites" / f"{self._runs:02d}-{stage}-{suite.name}"
        out.mkdir(parents=True, exist_ok=True)
        config = SuitesConfig(
            suites=(self._with_dataset(suite, out),),
            objectives=self._spec.plan.guard.objectives,
            policy=self._spec.plan.guard.promotion.policy,
        )
        config_file = self._folder.write_evidence(f"suites/{out.name}/{CONFIG_FILE}", config.to_document())
        process = start_suite(
            suite.name,
            candidate=candidate.url,
            baseline=baseline.url if baseline else None,
            model=self._spec.plan.guard.target.runtime.models[0],
            config_file=config_file,
            out_dir=out,
            api_key_env=API_KEY_ENV if candidate.api_key else None,
            environment={API_KEY_ENV: candidate.api_key} if candidate.api_key else {},
            timeout=seconds(suite.timeout),
        )
        return _Redacted(process, self._folder)

    def _with_dataset(self, suite: Suite, out: Path) -> Suite:
        """The suite with its ConfigMap's items in a file, where it names one; the copy is evidence.

        Raises:
            ConfigurationError: The ConfigMap does not hold exactly one file.
        """
        if not isinstance(suite, EvalSuite) or suite.dataset is None or suite.dataset.config_map is None:
            return suite
        name = suite.dataset.config_map
        files = self._read_config_map(name)
        if len(files) != 1:
            there = ", ".join(sorted(files)) or "none"
            raise ConfigurationError(f"ConfigMap {name}: expected one key with the items, found {there}")
        file = out / "dataset.jsonl"
        file.write_text(next(iter(files.values())), encoding="utf-8")
        return suite.model_copy(update={"dataset": Dataset(file=str(file))})


class _Redacted:
    """A suite under way, whose result says nothing of the key: its reasons become log lines and status."""

    def __init__(self, process: Process, folder: OutputFolder) -> None:
        self._process, self._folder = process, folder

    def poll(self) -> SuiteResult | None:
        found, hide = self._process.poll(), self._folder.hide
        if found is None:
            return None
        checks = (replace(c, reason=hide(c.reason), detail=hide(c.detail)) for c in found.checks)
        return replace(found, checks=tuple(checks), error=hide(found.error))

    def kill(self) -> None:
        self._process.kill()
