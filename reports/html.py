"""A report as one HTML file: no network, no script, readable in years, printable, broken objectives first.

Every text passes `visible` and then Jinja's autoescape, and the page's own Content-Security-Policy forbids
scripts and any load, so that what a model wrote stays text even if an escape were forgotten.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from guard.core.evidence import Difference, Report
from guard.core.text import visible
from reports import words
from reports.plots import plots

_MOST_DETAIL = 4000  # characters of one check's detail; the evidence folder has all of it


def render_html(report: Report, evidence: str = "evidence") -> str:
    """The whole page.

    Args:
        evidence: The evidence folder as it is reached from where the page will be.
    """
    return (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            link=lambda path: quote(visible(evidence + path.removeprefix("evidence"))),
            headline=words.headline(report),
            headline_verdict=words.headline_verdict(report),
            findings=words.findings(report),
            stages=words.stages(report),
            spans=words.rollback_spans(report.rollback) if report.rollback else (),
            last_known_good=words.last_known_good(report),
            plots=plots(report),
            arms={str(arm): name for arm, name in words.arm_names(report).items()},
            differing=[
                row
                for kind in (Difference.CONFOUNDED, Difference.EXPECTED)
                for row in words.fields_that_are(kind, report)
            ],
            same=[row.field for row in words.fields_that_are(Difference.SAME, report)],
            unknown_fields=[row.field for row in words.fields_that_are(Difference.UNKNOWN, report)],
        )
    )


@cache
def environment() -> Environment:
    """What every page is made with: nothing in a value is ever markup, and control characters are shown."""
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        all_checks=words.all_checks,
        marked=_marked,
        section_title=words.section_title,
        statistic=words.statistic,
        offset=words.offset,
        unknown=words.UNKNOWN,
    )
    environment.filters.update(
        word=words.verdict_word,
        symbol=lambda verdict: words.SYMBOLS.get(verdict, words.UNKNOWN),
        css=lambda verdict: "none" if verdict is None else str(verdict).lower().replace("_", "-"),
        duration=words.duration,
        instant=words.instant,
        moment=words.moment,
        count=words.count,
        size=words.size,
        quantity=words.quantity,
        detail=_detail,
    )
    return environment


def _finalized(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    return visible(value) if isinstance(value, str) else value


def _marked(text: str, other: str | None) -> Markup:
    """A value with those of its words marked that the other one lacks; one word alone is all that differs."""
    parts = text.split(" ")
    if other is None or len(parts) == 1:
        return escape(visible(text))
    there = set(other.split(" "))
    shown = (Markup("<mark>{}</mark>").format(p) if p not in there else p for p in map(visible, parts))
    return Markup(" ").join(shown)


def _detail(detail: Mapping[str, Any]) -> str:
    text = json.dumps(detail, indent=2, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _MOST_DETAIL else text[:_MOST_DETAIL] + "\n… cut; the evidence folder has all"
