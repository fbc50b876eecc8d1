"""The demo from start to end: set up, users, rollouts, table.

Owns the order. Exit code 0 when every rollout ended as it must and no user's request failed by our action.
"""

import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from guard.adapters.kubernetes.client import ENDPOINT_SLICES, SERVICES
from guard.adapters.kubernetes.services import endpoint_urls
from guard.demo import users
from guard.demo.engine import ENGINES, MANIFESTS, MODEL, REPOSITORY, Engine
from guard.demo.machine import DemoError, Machine, need_parts
from guard.demo.rollouts import GUARD, NAMESPACE, Outcome, Rollout, run_rollout, with_argument
from guard.demo.show import Show
from guard.demo.users import Tally
from guard.errors import ConfigurationError, TidegateError

ADDRESSES = "127.77.0.0/16"
ROUTE = MANIFESTS / "runtime/route.yaml"
USERS_PER_SECOND = 0.5
LONG_RATIO = 0.4
START_SECONDS = 90.0
SETTLE_SECONDS = 2.0  # so that requests of a rollout's end are in the users' log before they are counted


def rollouts(engine: Engine) -> list[Rollout]:
    """The three, in order. The model is the same in all of them."""
    return [
        Rollout("healthy", "a harmless argument differs", "Promoted", with_argument(engine.harmless)),
        Rollout(
            "broken-template",
            "a broken chat template: health stays green, answers degrade",
            "RolledBack",
            with_argument(engine.broken_template),
            touches_traffic=False,
        ),
        Rollout(
            "context-cut",
            "the context cut to 256 tokens: only users' long prompts fail",
            "RolledBack",
            with_argument(engine.cut_context),
        ),
    ]


def run_demo(folder: Path, engine_name: str, keep: bool, only: Sequence[str], api: str = "fake") -> int:
    """Runs it; returns the exit code. Raises TidegateError when it could not be run."""
    need_parts(real_api=api == "real")
    engine = ENGINES[engine_name]
    engine.check()
    chosen = rollouts(engine)
    if only:
        names = [rollout.name for rollout in chosen]
        unknown = set(only) - set(names)
        if unknown:
            raise ConfigurationError(
                f"--only {', '.join(sorted(unknown))}: the rollouts are {', '.join(names)}"
            )
        chosen = [rollout for rollout in chosen if rollout.name in only]
    show = Show(Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120))
    signal.signal(signal.SIGTERM, _interrupt)
    with Machine(folder, REPOSITORY, real_api=api == "real") as machine:
        try:
            return _run(machine, engine, chosen, show, keep)
        except KeyboardInterrupt:
            show.line("Interrupted", "ending everything that was started")
            return 130


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _run(machine: Machine, engine: Engine, chosen: Sequence[Rollout], show: Show, keep: bool) -> int:
    show.heading("Setting up: Kubernetes API, Traefik, a model server, the guard")
    url = set_up(machine, show, engine)
    out = machine.folder / "users.jsonl"
    machine.start("users", users.command(url, MODEL, out, USERS_PER_SECOND, LONG_RATIO))
    show.line(
        "Users", f"{USERS_PER_SECOND:g} streaming chat a second through {url}, 4 in 10 with a long prompt"
    )
    outcomes: list[tuple[Outcome, Tally]] = []
    for number, rollout in enumerate(chosen, 1):
        show.heading(f"Rollout {number} of {len(chosen)}: {rollout.name} ({rollout.title})")
        outcome = run_rollout(machine, engine, rollout, show.line)
        time.sleep(SETTLE_SECONDS)
        outcomes.append((outcome, _tally(machine, out, outcome)))
    show.table(outcomes)
    show.reports(outcomes)
    good = _say_result(show, outcomes)
    if keep:
        _keep(machine, show, url)
    return 0 if good else 1


def set_up(
    machine: Machine, show: Show, engine: Engine = ENGINES["llamacpp"], addresses: str = ADDRESSES
) -> str:
    """Starts everything, pods on `addresses`; returns the gateway's URL once the stable answers there."""
    here = Path(sys.prefix)
    machine.start_cluster(
        {"tidegate/tidegate": here, "traefik": here, engine.image: engine.prefix}, addresses
    )
    behind = "; custom resources on Kubernetes' own API server and etcd" if machine.real_api else ""
    show.line("Cluster", f"Kubernetes API at {machine.client.url}{behind}")
    for part in ("deploy/crds.yaml", "stack/manifests/namespaces.yaml", "stack/manifests/gateway"):
        machine.kubectl("apply", "-f", str(REPOSITORY / part))
    settings = {"tidegate-guard": {"artifacts": str(machine.folder / "artifacts")}, **engine.config_maps}
    for name, data in settings.items():
        machine.kubectl("apply", "-f", "-", stdin=json.dumps(_config_map(name, data)))
    files = (engine.manifests / "chat-stable.yaml", engine.manifests / "chat-canary.yaml", ROUTE)
    for file in files:
        machine.kubectl("apply", "-f", str(file))
    machine.wait_for("Traefik", lambda: machine.rolled_out("gateway", "traefik"), START_SECONDS)
    show.line("Gateway", "Traefik is ready")
    machine.wait_for("the stable", lambda: machine.rolled_out(NAMESPACE, "chat-stable"), engine.start_seconds)
    show.line("Stable", f"{engine.says} has generated its first token")
    machine.kubectl("apply", "-k", str(MANIFESTS / "guard"))
    machine.kubectl("apply", "-f", str(engine.guard))
    machine.wait_for("the guard", lambda: machine.rolled_out(NAMESPACE, "tidegate-guard"), START_SECONDS)
    show.line("Guard", "the daemon watches namespace inference")
    return _gateway_url(machine)


def _config_map(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}


def _gateway_url(machine: Machine) -> str:
    services = machine.list(SERVICES, "gateway")
    slices = machine.list(ENDPOINT_SLICES, "gateway")
    found = endpoint_urls("http://traefik.gateway:8080", services, slices)
    if not found:
        raise DemoError("the gateway's Service has no ready endpoint")
    return found[0].url


def _tally(machine: Machine, out: Path, outcome: Outcome) -> Tally:
    logged = users.logged_requests(machine.folder / "pods")
    return users.tally(users.read_users(out), logged, outcome.began_at, outcome.ended_at)


def _say_result(show: Show, outcomes: Sequence[tuple[Outcome, Tally]]) -> bool:
    wrong = [outcome.rollout.name for outcome, _ in outcomes if not outcome.as_expected]
    harmed = sum(tally.by_action for _, tally in outcomes)
    for name in wrong:
        show.line("NotAsExpected", f"{name} did not end as it must")
    if harmed:
        show.line("UsersHarmed", f"{harmed} users' requests failed by a rollback or promotion")
    if not wrong and not harmed:
        show.line(
            "Done", "every rollout ended as it must; no user's request failed by a rollback or promotion"
        )
    return not wrong and not harmed


def _keep(machine: Machine, show: Show, url: str) -> None:
    show.heading("Left running until Ctrl-C (--keep)")
    show.line("Gateway", f"curl {url}/v1/models")
    programs = Path(sys.executable).parent
    show.line("Programs", f"export PATH={programs}:$PATH KUBECONFIG={machine.kubeconfig}")
    show.line("Changes", f"kubectl get changes -n {NAMESPACE} -w")
    canaries = sorted(machine.folder.glob("canary-*.yaml"))
    if canaries:
        opening = f"tidegate change open -n {NAMESPACE} --guard {GUARD} --ticket MINE-1"
        show.line("A change of your own", f"kubectl apply -f {canaries[-1]} && {opening}")
    while True:
        try:
            machine.check()
        except TidegateError as error:
            show.line("Ended", str(error))
            return
        time.sleep(1.0)
