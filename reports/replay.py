"""A replayed rollout as one HTML page: the evidence against its threshold, and what was measured, over time.

Owns what is drawn; like every report it holds no script and loads nothing. The deciding moment is marked in
every plot; what lies after it was recorded, and not known to the decision.
"""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from guard.core.replay import Decision, Moment, e_value_text
from guard.core.replay_series import ArmSeries, Point, Series, series
from guard.core.rollout import Rollout
from guard.core.samples import Arm
from guard.core.turning_points import turning_points
from reports import words
from reports.html import environment
from reports.svg import BOTTOM, LEFT, RIGHT, TOP, Figure, Scale

_LOWEST, _HIGHEST = 0.01, 1e6  # of e-values drawn; what is beyond stands at the edge
_STROKE = "m-8 0h20"
_NAMES = {Arm.BASELINE: "baseline", Arm.CANARY: "canary"}


def render_replay(name: str, rollout: Rollout, decision: Decision) -> str:
    """The whole page.

    Args:
        name: Of the folder.
    """
    return (
        environment()
        .get_template("replay.html")
        .render(
            name=name,
            decision=decision,
            e_value_text=e_value_text,
            rollout=rollout,
            plots=_plots(rollout, decision),
            turns=turning_points(decision.timeline, decision.evidence["threshold"]),
            checks=decision.evidence["checks"],
            figures=_figures(decision),
            left_out={**decision.evidence["dropped"], **decision.evidence["dropped_by_rule"]},
        )
    )


def _figures(decision: Decision) -> dict[str, str]:
    evidence = decision.evidence
    requests, replicas = evidence["requests"], evidence["replicas"]
    chosen = evidence["settings"]
    return {
        "Evidence": f"{e_value_text(evidence['combined'])} of {e_value_text(evidence['threshold'])}",
        "Canary": _seen(requests["canary"], replicas["canary"]),
        "Baseline": _seen(requests["baseline"], replicas["baseline"]),
        "Eval items": str(evidence["eval_items"]),
        "Sources": ", ".join(evidence["sources"]) or "none",
        "Policy": chosen["policy"],
        "Alpha": f"{chosen['alpha']:g}",
        "Requests wanted": ", ".join(map(str, chosen["minRequests"])),
    }


def _seen(requests: int, replicas: int) -> str:
    return f"{requests} requests on {replicas} replica{'' if replicas == 1 else 's'}"


def _plots(rollout: Rollout, decision: Decision) -> list[Markup]:
    """Every plot that there are data for, evidence first."""
    measured = series(rollout)
    page = _Page(rollout, decision, measured)
    found = [page.evidence(), page.signals()]
    arms, source = measured.arms, f" ({measured.source})"
    pick: list[tuple[str, Callable[[ArmSeries], Sequence[Point]], bool]] = [
        ("Time to first token, median" + source, lambda a: a.ttft_p50, True),
        ("Time to first token, p95" + source, lambda a: a.ttft_p95, True),
        ("Gap between tokens, median of requests" + source, lambda a: a.itl_p50, True),
        ("Share of requests that failed" + source, lambda a: a.failed, False),
        ("Share of eval items passed so far", lambda a: a.passed, False),
    ]
    for title, choose, seconds in pick:
        if any(choose(arms[arm]) for arm in Arm):
            found.append(page.measure(title, {arm: choose(arms[arm]) for arm in Arm}, seconds))
    return [*found, page.weight()]


class _Page:
    """The plots of one page: one time scale, one deciding moment."""

    def __init__(self, rollout: Rollout, decision: Decision, measured: Series) -> None:
        self._rollout, self._decision, self._measured = rollout, decision, measured

    def _finished(self, figure: Figure) -> Markup:
        """With the deciding moment."""
        figure.vertical(self._decision.at_seconds, self._label(), "decided")
        return figure.render()

    def _label(self) -> str:
        decision = self._decision
        by = f" by {decision.signal}" if decision.signal and decision.action == "ROLLBACK" else ""
        return f"{decision.action}{by}, {decision.at_seconds:g} s"

    def _time(self, begin: float) -> Scale:
        return Scale(begin, self._rollout.end_seconds, LEFT, RIGHT)

    def evidence(self) -> Markup:
        """The weighted sum, which decides."""
        threshold = self._decision.evidence["threshold"]
        timeline = self._decision.timeline
        highest = max(2 * threshold, *(min(m.evidence, _HIGHEST) for m in timeline))
        figure = Figure(
            "Evidence of harm (weighted sum of e-values)",
            f"At the end {e_value_text(timeline[-1].evidence)}; {e_value_text(threshold)} rolls back.",
            self._time(self._rollout.steps[0].start_seconds),
            Scale(_LOWEST, highest, BOTTOM, TOP, logarithmic=True),
            _clock,
            _number,
        )
        figure.line([(figure.x.low, threshold), (figure.x.high, threshold)], "limit")
        figure.line([(m.at_seconds, m.evidence) for m in timeline], "sum")
        figure.legend(
            [(_STROKE, "line sum", "sum"), (_STROKE, "line limit", f"threshold {e_value_text(threshold)}")]
        )
        return self._finished(figure)

    def signals(self) -> Markup:
        """Each signal's own e-value."""
        timeline = self._decision.timeline
        signals = sorted({signal for moment in timeline for signal in moment.e_values})
        values = [min(e, _HIGHEST) for m in timeline for e in m.e_values.values()]
        figure = Figure(
            "E-value of each signal, before weighting",
            "; ".join(f"{s}: {e_value_text(_last(timeline, s))} at the end" for s in signals)
            or "nothing was compared",
            self._time(self._rollout.steps[0].start_seconds),
            Scale(_LOWEST, max(200.0, *values, 0.0), BOTTOM, TOP, logarithmic=True),
            _clock,
            _number,
        )
        for signal in signals:
            points = [(m.at_seconds, m.e_values[signal]) for m in timeline if signal in m.e_values]
            figure.line(points, f"signal-{signal}")
        figure.legend([(_STROKE, f"line signal-{signal}", signal) for signal in signals])
        return self._finished(figure)

    def measure(self, title: str, lines: dict[Arm, Sequence[Point]], seconds: bool) -> Markup:
        highest = max(value for points in lines.values() for _, value in points)
        figure = Figure(
            title,
            "; ".join(f"{_NAMES[a]}: last {_value(p[-1][1], seconds)}" for a, p in lines.items() if p),
            self._time(self._measured.begin),
            Scale(0, 1.08 * highest if seconds else max(0.05, highest), BOTTOM, TOP),
            _clock,
            words.duration if seconds else _percent,
        )
        for arm, points in lines.items():
            figure.line(points, f"arm-{arm}")
        figure.legend([(_STROKE, f"line arm-{arm}", _NAMES[arm]) for arm, points in lines.items() if points])
        return self._finished(figure)

    def weight(self) -> Markup:
        points = [(step.start_seconds, float(step.weight_percent)) for step in self._rollout.steps]
        figure = Figure(
            "Share of traffic that went to the canary",
            ", ".join(f"{weight:g} % from {at:g} s" for at, weight in points),
            self._time(self._measured.begin),
            Scale(0, 100, BOTTOM, TOP),
            _clock,
            lambda value: f"{value:g} %",
        )
        figure.steps(points, self._rollout.end_seconds, f"arm-{Arm.CANARY}")
        return self._finished(figure)


def _last(timeline: Sequence[Moment], signal: str) -> float:
    return next((m.e_values[signal] for m in reversed(timeline) if signal in m.e_values), 1.0)


def _clock(seconds: float) -> str:
    return f"{seconds:g} s"


def _number(value: float) -> str:
    return f"{value:g}"


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.3g} %"


def _value(value: float, seconds: bool) -> str:
    return words.duration(value) if seconds else _percent(value)
