"""Whose rules are compared, by name, each a function of a rollout's columns."""

from collections.abc import Callable, Mapping

from benchmarks.decisions import argo, engine, flagger, kayenta
from benchmarks.decisions.decision import Decision
from benchmarks.decisions.rollout import Rollout

OURS = "tidegate"
PEERS: Mapping[str, Callable[[Rollout], Decision]] = {
    "flagger": lambda rollout: flagger.judge(rollout, flagger.Flagger()),
    "argo": lambda rollout: argo.judge(rollout, argo.BACKGROUND),
    "argo-steps": lambda rollout: argo.judge(rollout, argo.STEPS),
    "kayenta": lambda rollout: kayenta.judge(rollout, kayenta.Kayenta()),
}
NAMES = (OURS, *PEERS)


def judged(rollout: Rollout, rule: str, settings: engine.Settings) -> Decision:
    """What the rule does; `settings` are ours.

    Raises:
        KeyError: No rule has that name.
    """
    return engine.judge(rollout, settings) if rule == OURS else PEERS[rule](rollout)
