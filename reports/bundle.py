"""All forms of one report, by file name: what `gate` and `report` put into their output folder."""

import json
from dataclasses import replace
from hashlib import sha256

from guard.core.evidence import RawFile, Report
from guard.core.text import sanitized
from reports.html import render_html
from reports.junit import render_junit
from reports.markdown import render_markdown

# verdict.json comes last: whoever finds it finds the others, too.
OUTPUTS = ("report.html", "summary.md", "junit.xml", "verdict.json")


def render_json(report: Report) -> bytes:
    """verdict.json, and what `--json` prints: ASCII, so that no terminal obeys what a model wrote."""
    return (json.dumps(sanitized(report.summary()), indent=2, allow_nan=False) + "\n").encode()


def render_all(report: Report, evidence: str = "evidence") -> dict[str, bytes]:
    """File name -> content, in the order in which they are to be written.

    verdict.json has the checksums of the other three, too: `tidegate verify` finds a copy that was changed.

    Args:
        evidence: The evidence folder as it is reached from where the files will be: what links are made of.
    """
    shown = {
        "report.html": render_html(report, evidence).encode(),
        "summary.md": render_markdown(report).encode(),
        "junit.xml": render_junit(report),
    }
    copies = (RawFile(name, sha256(content).hexdigest(), len(content)) for name, content in shown.items())
    return {**shown, "verdict.json": render_json(replace(report, files=(*report.files, *copies)))}
