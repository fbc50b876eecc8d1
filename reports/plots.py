"""The plots of a report: time to first token per arm, errors per arm and canary weight over time.

Owns what is drawn of which series, and that two sources of samples never share a plot. A series that is
not there gives no plot, never an empty one. The baseline is always dashed with round marks, the canary
solid with diamonds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from markupsafe import Markup

from guard.core.evidence import Report
from guard.core.latency import quantile
from guard.core.samples import Arm, Outcome
from guard.core.series import RequestPoint
from reports.svg import BOTTOM, LEFT, RIGHT, TOP, Figure, Scale
from reports.words import arm_names, duration

_MOST_MARKS = 1500  # for each arm; arbitrary, keeps a file of many hours under a megabyte
_MOST_CORNERS = 400
_SHAPES = {Arm.BASELINE: "h.01", Arm.CANARY: "m0 -3.2l3.2 3.2l-3.2 3.2l-3.2 -3.2z"}
_CROSS = "m-3 -3l6 6m0 -6l-6 6"
_STROKE = "m-8 0h20"


def plots(report: Report) -> list[Markup]:
    """Every plot that the report has data for, in reading order."""
    report = _from_start(report)
    found: list[Markup] = []
    sources = list(dict.fromkeys(point.source for point in report.requests))
    for source in sources:
        points = [point for point in report.requests if point.source is source]
        if any(_answered(points, arm) for arm in Arm):
            found += [_ttft_distribution(report, points, source), _ttft_over_time(report, points, source)]
    if report.weights:
        found.append(_weight(report))
    if report.traffic:
        found.append(_errors(report))
    return found


def _ttft_distribution(report: Report, points: Sequence[RequestPoint], source: str) -> Markup:
    values = {arm: sorted(ttft for _, ttft in _answered(points, arm)) for arm in Arm}
    every = [value for arm in Arm for value in values[arm]]
    limits = _limits(report)
    x = _latency_scale(every + limits, LEFT, RIGHT)
    figure = Figure(
        "Time to first token: share of answers within it",
        _medians(report, values),
        x,
        Scale(0, 1, BOTTOM, TOP),
        duration,
        _percent,
    )
    for arm in Arm:
        count = len(values[arm])
        corners = [
            (x.low, 0.0),
            *((v, 0.0) for v in values[arm][:1]),
            *((v, (i + 1) / count) for i, v in enumerate(values[arm])),
        ]
        figure.line([*_thinned(corners, _MOST_CORNERS), (x.high, 1.0)] if count else [], f"arm-{arm}")
    for limit in limits:
        figure.vertical(limit, f"limit {duration(limit)}", "limit")
    figure.legend(_arm_entries(report, points, lines=True, suffix=f"({source})"))
    return figure.render()


def _ttft_over_time(report: Report, points: Sequence[RequestPoint], source: str) -> Markup:
    values = [ttft for arm in Arm for _, ttft in _answered(points, arm)]
    limits = _limits(report)
    y = _latency_scale(values + limits, BOTTOM, TOP + 20)
    figure = Figure(
        "Time to first token of each request, over time",
        f"{len(points)} requests from {source}; those that failed stand at the top.",
        _time_scale(report),
        y,
        _clock,
        duration,
    )
    for arm in Arm:
        figure.markers(_thinned(_answered(points, arm), _MOST_MARKS), _SHAPES[arm], f"arm-{arm}")
        failed = [(p.at, y.high) for p in points if p.arm is arm and _failed(p)]
        figure.markers(
            _thinned(failed, _MOST_MARKS),
            f"m0 {-15 if arm is Arm.CANARY else -7}{_CROSS}",
            f"failed arm-{arm}",
        )
    for limit in limits:
        figure.horizontal(limit, f"limit {duration(limit)}", "limit")
    _mark_decision(figure, report)
    figure.legend([*_arm_entries(report, points, lines=False), (_CROSS, "mark", "failed")])
    return figure.render()


def _weight(report: Report) -> Markup:
    figure = Figure(
        f"Share of traffic that went to the {arm_names(report)[Arm.CANARY]}",
        ", ".join(f"{w.weight_percent} %" for w in report.weights),
        _time_scale(report),
        Scale(0, 100, BOTTOM, TOP),
        _clock,
        lambda value: f"{value:g} %",
    )
    figure.steps(
        [(w.at, float(w.weight_percent)) for w in report.weights], figure.x.high, f"arm-{Arm.CANARY}"
    )
    _mark_decision(figure, report)
    return figure.render()


def _errors(report: Report) -> Markup:
    ratios = [bin.errors / bin.requests for bin in report.traffic if bin.requests]
    totals = {arm: _totals(report, arm) for arm in Arm}
    names = arm_names(report)
    figure = Figure(
        "Share of requests that failed, over time",
        "; ".join(f"{names[arm]}: {totals[arm][1]} of {totals[arm][0]} failed" for arm in Arm),
        _time_scale(report),
        Scale(0, max([0.05, *ratios]), BOTTOM, TOP),
        _clock,
        _percent,
    )
    for arm in Arm:
        seen = [
            (b.at + b.seconds / 2, b.errors / b.requests)
            for b in report.traffic
            if b.arm is arm and b.requests
        ]
        figure.line(seen, f"arm-{arm}")
        figure.markers(_thinned(seen, _MOST_MARKS), _SHAPES[arm], f"arm-{arm}")
    _mark_decision(figure, report)
    entries = [
        (_STROKE, f"line arm-{a}", f"{names[a]} ({totals[a][1]}/{totals[a][0]})") for a in Arm if totals[a][0]
    ]
    figure.legend(entries)
    return figure.render()


def _totals(report: Report, arm: Arm) -> tuple[int, int]:
    mine = [bin for bin in report.traffic if bin.arm is arm]
    return sum(bin.requests for bin in mine), sum(bin.errors for bin in mine)


def _mark_decision(figure: Figure, report: Report) -> None:
    if report.deciding is not None:
        figure.vertical(report.deciding.at, f"decided: {report.deciding.signal}", "decided")


def _arm_entries(
    report: Report, points: Sequence[RequestPoint], *, lines: bool, suffix: str = ""
) -> list[tuple[str, str, str]]:
    names, entries = arm_names(report), []
    for arm in Arm:
        count = len(_answered(points, arm))
        shape, css = (_STROKE, "line") if lines else (_SHAPES[arm], "mark")
        if count:
            entries.append((shape, f"{css} arm-{arm}", f"{names[arm]}, n = {count} {suffix}".rstrip()))
    return entries


def _answered(points: Iterable[RequestPoint], arm: Arm) -> list[tuple[float, float]]:
    """(at, TTFT). Failed requests stay out: what never answered would flatter or distort the latency.

    Below a millisecond is drawn as one: a logarithmic scale has no zero.
    """
    return [
        (p.at, max(p.ttft_seconds, 0.001))
        for p in points
        if p.arm is arm and p.outcome is Outcome.OK and p.ttft_seconds is not None
    ]


def _failed(point: RequestPoint) -> bool:
    return point.outcome not in (None, Outcome.OK)


def _medians(report: Report, values: dict[Arm, list[float]]) -> str:
    names = arm_names(report)
    return "; ".join(
        f"{names[arm]}: median {duration(quantile(found, 0.5))} of {len(found)}"
        for arm, found in values.items()
        if found
    )


def _limits(report: Report) -> list[float]:
    """Absolute objectives on time to first token. A comparison's limit moves with the baseline, and the
    smoke suite's is so wide that nothing could be seen beside it.
    """
    checks = [check for section in report.sections for check in section.checks]
    mine = [
        c for c in checks if c.name.startswith("objective-") and (c.signal, c.unit) == ("ttft", "seconds")
    ]
    found = {check.limit for check in mine if check.limit}
    return sorted(found)


def _latency_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """Logarithmic when the longest is over eight times the median: a linear one would hide the body."""
    ordered = sorted(values)
    middle, longest = ordered[len(ordered) // 2], ordered[-1]
    if longest > 8 * middle or middle > 8 * ordered[0]:
        return Scale(ordered[0] * 0.8, longest * 1.25, start, end, logarithmic=True)
    return Scale(0, longest * 1.05, start, end)


def _time_scale(report: Report) -> Scale:
    moments = [p.at for p in report.requests] + [w.at for w in report.weights]
    moments += [edge for b in report.traffic for edge in (b.at, b.at + b.seconds)]
    moments += [report.deciding.at] if report.deciding else []
    low, high = min(moments), max(moments)
    return Scale(low, high if high > low else low + 1, LEFT, RIGHT)


def _from_start(report: Report) -> Report:
    """The same report with all times counted from its start, so that ticks are round."""
    start = report.started_at
    return replace(
        report,
        requests=tuple(replace(p, at=p.at - start) for p in report.requests),
        weights=tuple(replace(w, at=w.at - start) for w in report.weights),
        traffic=tuple(replace(b, at=b.at - start) for b in report.traffic),
        deciding=report.deciding and replace(report.deciding, at=report.deciding.at - start),
    )


def _clock(seconds: float) -> str:
    return f"{seconds:g} s" if abs(seconds) < 600 else f"{seconds / 60:g} min"


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.3g} %"


def _thinned(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Every n-th point, the last always; n from the count alone, so that a report is reproducible."""
    if len(points) <= most:
        return list(points)
    step = -(-len(points) // most)
    return [*points[::step], points[-1]]
