"""Claims about the shipped alert rules, held by a real Prometheus: alone, and on probes of two servers."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_api_client import PrometheusApiClientException, PrometheusConnect

from guard.testing.runtime import Fault, Script, ScriptedRuntime
from tests.daemon.conftest import ROOT

pytestmark = pytest.mark.prometheus

HOST = "127.60.6.1"
PATIENCE_SECONDS = 120.0


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The PrometheusRule's groups, as a plain Prometheus reads them."""
    document = yaml.safe_load((ROOT / "deploy/prometheus-rule.yaml").read_text(encoding="utf-8"))
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(document["spec"]), encoding="utf-8")
    return file


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules(rules: Path) -> None:
    promtool("check", "rules", rules)


def test_each_alert_fires_when_it_should_and_only_then(rules: Path) -> None:
    tests = shutil.copy(ROOT / "tests/deploy/rules_test.yaml", rules.parent)
    promtool("test", "rules", tests)


@contextlib.contextmanager
def process(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Ended with its block."""
    with log.open("wb") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(30)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextlib.contextmanager
def probing(name: str, script: Script, folder: Path) -> Iterator[str]:
    """`tidegate probe` of a scripted server, again and again; gives where its metrics are."""
    port = free_port()
    log = folder / f"{name}.log"
    with ScriptedRuntime.serve(script, host=HOST) as runtime:
        options = ["--candidate", runtime.url, "--every", "1s", "--name", name]
        options += ["--metrics-port", str(port), "--metrics-address", HOST]
        main = "from guard.cli import main; main()"
        with process(sys.executable, "-c", main, "probe", *options, log=log):
            yield f"{HOST}:{port}"


@contextlib.contextmanager
def prometheus(targets: list[str], rules: Path) -> Iterator[PrometheusConnect]:
    """A Prometheus that scrapes these and looks at the rules every second."""
    folder = rules.parent
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": "tidegate", "honor_labels": True, "static_configs": [{"targets": targets}]}
        ],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    address = f"{HOST}:{free_port()}"
    options = [f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with process("prometheus", *options, f"--web.listen-address={address}", log=folder / "prometheus.log"):
        connection = PrometheusConnect(url=f"http://{address}")
        until(lambda: answers(connection), folder)
        yield connection


def free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def answers(connection: PrometheusConnect) -> bool:
    """By its API: Debian's start page needs templates below /usr/share, which an unpacked package has not."""
    try:
        return bool(connection.custom_query("vector(1)"))
    except (OSError, PrometheusApiClientException):  # requests' ConnectionError is an OSError
        return False


def until(holds: Any, folder: Path) -> Any:
    """The first true answer within the patience."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise AssertionError("\n".join(log.read_text()[-2000:] for log in folder.glob("*.log")))
        time.sleep(0.2)
    return found


def firing(connection: PrometheusConnect) -> set[tuple[str, str]]:
    """(alert, guard) of what fires now."""
    found = connection.custom_query('ALERTS{alertstate="firing"}')
    return {(one["metric"]["alertname"], one["metric"].get("guard", "")) for one in found}


def test_a_broken_server_fires_its_alert_and_a_sound_one_beside_it_none(rules: Path) -> None:
    sound = Script(model="chat", ttft_seconds=0.01)
    broken = Script(model="chat", faults=(Fault.parse("leak-special"),))
    folder = rules.parent
    with (
        probing("sound", sound, folder) as one,
        probing("broken", broken, folder) as other,
        prometheus([one, other], rules) as connection,
    ):
        passed = 'tidegate_suite_verdict{guard="sound", verdict="PASS"} == 1'
        until(lambda: connection.custom_query(passed), folder)
        until(lambda: ("TidegateProbeFailed", "broken") in firing(connection), folder)
        assert firing(connection) == {("TidegateProbeFailed", "broken")}
        (count,) = connection.get_current_metric_value(
            "tidegate_probe_ttft_seconds_count", label_config={"guard": "sound"}
        )
        assert float(count["value"][1]) >= 5
