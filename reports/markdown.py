"""A report as Markdown for a pipeline's job summary or a pull request: the verdict and what broke, first.

Model text (`Check.detail`) is left out, and every other text is escaped: a reason may quote an endpoint's
error, and neither HTML nor a link or a mention may come out of it.
"""

import re
from collections.abc import Iterable

from guard.core.check import Check
from guard.core.evidence import Difference, Report, Section
from guard.core.samples import Arm
from guard.core.text import one_line
from guard.core.verdict import Verdict
from reports.words import (
    SYMBOLS,
    UNKNOWN,
    all_checks,
    arm_names,
    check_word,
    count,
    duration,
    fields_that_are,
    findings,
    headline,
    headline_verdict,
    instant,
    last_known_good,
    moment,
    quantity,
    rollback_spans,
    section_title,
    stages,
    verdict_word,
)

_EMOJI = {
    Verdict.PASS: "✅",
    Verdict.FAIL: "❌",
    Verdict.ERROR: "⛔",
    Verdict.NO_DATA: "⚠️",
    Verdict.INCONCLUSIVE: "⚠️",
}
# What Markdown would obey in running text: markup, entities, links that make themselves (http://, www.),
# :emoji:, and at a line's start headings, lists and quotes. Nothing more, so that it also reads well raw.
_MARKUP = re.compile(
    r"([\\`*\[\]|~<>&^$]|(?<!\w)_|_(?!\w)|:(?=//|(?!\d\d:)[\w+-]+:)|(?<=www)\.|^[#+-](?=\s)|(?<=^\d)[.)](?=\s|$))"
)
_HEADER = ("Check", "Verdict", "Observed", "Limit", "Baseline", "Samples", "Window", "Why")


def render_markdown(report: Report) -> str:
    """The summary, ending in a newline."""
    blocks = [
        f"# {_EMOJI[headline_verdict(report)]} {_text(headline(report))}: {_text(report.title)}",
        _text(report.reason),
        _facts(report),
        _broken(report),
        _rollback(report),
        _stages(report),
        *(_section(section) for section in report.sections),
        _changed(report),
        _timeline(report),
        "\n".join(f"- {_text(note)}" for note in report.notes),
        _files(report),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _facts(report: Report) -> str:
    rows = {
        "Analysis": verdict_word(report.verdict) if report.action else None,
        "Candidate": report.candidate,
        "Baseline": report.baseline or "none: not compared",
        "Model": report.model,
        "Policy": report.policy,
        "Ticket": report.ticket,
        "Requested by": report.requested_by,
        "Risk": report.risk,
        "Approval": report.approval,
        "Plan": report.plan_digest,
        "Last known good before": last_known_good(report),
        "Users' failed requests": report.users and f"{report.users.failed} of {report.users.requests}",
        "Started": f"{moment(report.started_at)}, took {duration(report.finished_at - report.started_at)}",
    }
    return "\n".join(f"- **{name}**: {_text(value)}" for name, value in rows.items() if value)


def _broken(report: Report) -> str:
    found = findings(report)
    if not found:
        return ""
    rows = [_row(f.check, f"{section_title(f.section)} / {f.check.name}") for f in found]
    return "## What did not pass\n\n" + _table(_HEADER, rows)


def _rollback(report: Report) -> str:
    if report.rollback is None:
        return ""
    rows = [(span.name, instant(span.at), duration(span.seconds)) for span in rollback_spans(report.rollback)]
    title = f"## Until the last new request on the {arm_names(report)[Arm.CANARY]}"
    return f"{title}\n\n" + _table(("From", "At", "It took"), rows)


def _stages(report: Report) -> str:
    rows = [
        (
            stage.title,
            verdict_word(stage.verdict),
            moment(stage.started_at),
            duration(stage.seconds),
            ", ".join(f"{section.name} {verdict_word(section.verdict)}" for section in stage.sections),
        )
        for stage in stages(report)
    ]
    header = ("Stage", "Verdict", "Began", "Took", "Suites and live traffic")
    return "## Step by step\n\n" + _table(header, rows) if rows else ""


def _section(section: Section) -> str:
    head = f"## {_text(section_title(section))}: {verdict_word(section.verdict)}"
    if section.verdict is None:
        return f"{head}\n\n{_text(section.note or 'not run')}"
    rows = [_row(check, check.name) for check in all_checks(section)]
    return f"{head}\n\n" + (_table(_HEADER, rows) if rows else "No check ran.")


def _row(check: Check, name: str) -> tuple[str, ...]:
    symbol = SYMBOLS.get(check.verdict, UNKNOWN)
    return (
        name,
        f"{symbol} {check_word(check)}",
        quantity(check.value, check.unit),
        quantity(check.limit, check.unit),
        quantity(check.baseline_value, check.unit),
        count(check.samples),
        duration(check.window_seconds),
        check.reason,
    )


def _changed(report: Report) -> str:
    rows = [
        (row.field, row.before or UNKNOWN, row.after or UNKNOWN, str(row.difference))
        for kind in (Difference.CONFOUNDED, Difference.EXPECTED)
        for row in fields_that_are(kind, report)
    ]
    unknown = ", ".join(row.field for row in fields_that_are(Difference.UNKNOWN, report))
    blocks = [
        _table(("Field", "Before", "After", ""), rows) if rows else "",
        f"Not known on one side at least, so not compared: {_text(unknown)}." if unknown else "",
    ]
    body = "\n\n".join(block for block in blocks if block)
    return f"## What was changed\n\n{body}" if body else ""


def _timeline(report: Report) -> str:
    rows = [(instant(event.at), event.reason, event.message) for event in report.timeline]
    return "## Timeline\n\n" + _table(("At", "Event", "What"), rows) if rows else ""


def _files(report: Report) -> str:
    lines = [f"- {_text(file.path)} (sha256 {file.sha256[:12]}…)" for file in report.files]
    return "\n".join(["## Files", "", *lines]) if lines else ""


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(_text(cell) for cell in row) + " |" for row in rows])


def _text(text: str) -> str:
    # GitHub looks for mentions after it has read the escapes; only a zero-width space stops those.
    return _MARKUP.sub(r"\\\1", one_line(text)).replace("@", "@\u200b")
