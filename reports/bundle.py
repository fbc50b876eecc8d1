"""All forms of one report, by file name: what `gate` and `report` put into their output folder."""

import json

from guard.core.evidence import Report
from guard.core.text import sanitized
from reports.html import render_html
from reports.junit import render_junit
from reports.markdown import render_markdown

# verdict.json comes last: whoever finds it finds the others, too.
OUTPUTS = ("report.html", "summary.md", "junit.xml", "verdict.json")


def render_json(report: Report) -> bytes:
    """verdict.json, and what `--json` prints: ASCII, so that no terminal obeys what a model wrote."""
    return (json.dumps(sanitized(report.summary()), indent=2, allow_nan=False) + "\n").encode()


def render_all(report: Report) -> dict[str, bytes]:
    """File name -> content, in the order in which they are to be written."""
    contents = (
        render_html(report).encode(),
        render_markdown(report).encode(),
        render_junit(report),
        render_json(report),
    )
    return dict(zip(OUTPUTS, contents, strict=True))
