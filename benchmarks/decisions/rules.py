"""Whose rules are compared, by name, each a function of a rollout's columns."""

from collections.abc import Callable, Mapping

from benchmarks.decisions import argo, flagger, kayenta
from benchmarks.decisions.decision import Decision, Settings
from benchmarks.decisions.rollout import Rollout

OURS = "tidegate"
PEERS: Mapping[str, Callable[[Rollout], Decision]] = {
    "flagger": lambda rollout: flagger.judge(rollout, flagger.Flagger()),
    "flagger-5": lambda rollout: flagger.judge(rollout, flagger.Flagger(threshold=5)),
    "argo": lambda rollout: argo.judge(rollout, argo.BACKGROUND),
    "argo-steps": lambda rollout: argo.judge(rollout, argo.STEPS),
    "kayenta": lambda rollout: kayenta.judge(rollout, kayenta.Kayenta()),
}
NAMES = (OURS, *PEERS)


def judged(rollout: Rollout, rule: str, settings: Settings) -> Decision:
    """What the rule does; `settings` are ours.

    Raises:
        KeyError: No rule has that name.
    """
    if rule != OURS:
        return PEERS[rule](rollout)
    from benchmarks.decisions import engine  # here, so that the peers are measured without an engine

    return engine.judge(rollout, settings)
