"""Just enough SVG for a report: scales, a frame with ticks, lines and markers, as static inline markup.

Our own because the report may hold no script and must follow the reader's colour scheme: styles are classes
that the page defines. (A plotting library would bring megabytes, or a picture that is one scheme's.) Small
frames: at phone width the text is still readable. Numbers are rounded to a tenth of a unit.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 480, 276
LEFT, RIGHT, TOP, BOTTOM = 58, 466, 60, 240

Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] to [start, end] in drawing units."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (self._flat(v) for v in (self.low, self.high, min(max(value, self.low), self.high)))
        return self.start + (self.end - self.start) * (at - low) / ((high - low) or 1.0)

    def ticks(self) -> list[float]:
        """Four to eight round values inside the scale."""
        if self.logarithmic:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 5) if self.high <= 200 * self.low else (1,)
            return [v for d in decades for s in steps if self.low <= (v := s * 10.0**d) <= self.high]
        raw = (self.high - self.low) / 5 or 1.0
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def _flat(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


class Figure:
    """One plot. `describe` is what a reader who cannot see it is told."""

    def __init__(
        self,
        title: str,
        describe: str,
        x: Scale,
        y: Scale,
        format_x: Callable[[float], str],
        format_y: Callable[[float], str],
    ) -> None:
        self.x, self.y = x, y
        self._parts = [
            Markup(
                '<svg viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>'
                '<text class="plot-title" x="4" y="14">{}</text>'
            ).format(WIDTH, HEIGHT, f"{title}. {describe}", title, title)
        ]
        self._axes(format_x, format_y)

    def _axes(self, format_x: Callable[[float], str], format_y: Callable[[float], str]) -> None:
        for value in self.y.ticks():
            self._add('<path class="grid" d="M{} {}H{}"/>', LEFT, self.y(value), RIGHT)
            self._add(
                '<text class="tick end" x="{}" y="{}">{}</text>', LEFT - 6, self.y(value) + 4, format_y(value)
            )
        for value in self.x.ticks():
            self._add('<path class="grid" d="M{} {}v4"/>', self.x(value), BOTTOM)
            self._add(
                '<text class="tick mid" x="{}" y="{}">{}</text>', self.x(value), BOTTOM + 18, format_x(value)
            )
        self._add('<path class="axis" d="M{} {}H{}"/>', LEFT, BOTTOM, RIGHT)

    def _add(self, template: str, *values: object) -> None:
        self._parts.append(Markup(template).format(*(_rounded(value) for value in values)))

    def line(self, points: Iterable[Point], css: str) -> None:
        path = "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)
        if path:
            self._add('<path class="line {}" d="M{}"/>', css, path)

    def steps(self, points: Sequence[Point], until: float, css: str) -> None:
        """A value that holds from each point to the next, and from the last to `until`."""
        ends = [*(x for x, _ in points[1:]), until]
        self.line([p for (x, y), end in zip(points, ends, strict=True) for p in ((x, y), (end, y))], css)

    def markers(self, points: Iterable[Point], shape: str, css: str) -> None:
        """One path for all of them; `shape` is relative SVG path data around the point."""
        path = "".join(f"M{self.x(x):.1f} {self.y(y):.1f}{shape}" for x, y in points)
        if path:
            self._add('<path class="mark {}" d="{}"/>', css, path)

    def vertical(self, at: float, label: str, css: str) -> None:
        """A line over the full height, its label above the plot, on the side that has room."""
        here = self.x(at)
        side = "end" if here > (LEFT + RIGHT) / 2 else ""
        self._add('<path class="line {}" d="M{} {}V{}"/>', css, here, TOP - 4, BOTTOM)
        self._add('<text class="label {}" x="{}" y="{}">{}</text>', side, here, TOP - 8, label)

    def horizontal(self, at: float, label: str, css: str) -> None:
        """A line over the full width, its label above it at the left."""
        self._add('<path class="line {}" d="M{} {}H{}"/>', css, LEFT, self.y(at), RIGHT)
        self._add('<text class="label" x="{}" y="{}">{}</text>', LEFT + 4, self.y(at) - 4, label)

    def legend(self, entries: Iterable[tuple[str, str, str]]) -> None:
        """(shape, class, text) in one row above the plot."""
        at = LEFT
        for shape, css, text in entries:
            self._add('<path class="{}" d="M{} 29{}"/>', css, at + 6, shape)
            self._add('<text class="label" x="{}" y="33">{}</text>', at + 20, text)
            at += 34 + 7 * len(text)

    def render(self) -> Markup:
        return Markup("").join([*self._parts, Markup("</svg>")])


def _rounded(value: object) -> object:
    return round(value, 1) if isinstance(value, float) else escape(value)
