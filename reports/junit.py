"""A report as JUnit XML, so that a pipeline's test view shows what a gate or a Change found.

One testsuite a section, one testcase a check. FAIL is a `failure`, ERROR an `error`; NO_DATA, INCONCLUSIVE
and checks that were not judged are `skipped` with their reason. Skipped cases look green in many views, so
one more testcase, `tidegate / verdict`, carries the verdict of the whole: it is red unless that is PASS.
Value, limit, samples and window are properties of each case (k6 lacks the limit, and users miss it).

Model text (`Check.detail`) is left out: a test view is no place for it.
"""

from xml.etree import ElementTree

from guard.core.check import Check
from guard.core.evidence import Report, Section
from guard.core.text import visible
from guard.core.verdict import NotJudged, Verdict
from reports.words import all_checks, moment, section_title

_PROPERTIES = (
    "signal",
    "value",
    "limit",
    "baseline_value",
    "unit",
    "samples",
    "window_seconds",
    "p_value",
    "evidence",
    "threshold",
)
# Of the whole, on the case that carries its verdict.
_FACTS = ("action", "ticket", "requested_by", "risk", "approval", "plan_digest", "policy", "model")
_ROLLBACK_FACTS = ("from_fault_onset_seconds", "from_deciding_sample_seconds", "from_patch_seconds")


def render_junit(report: Report) -> bytes:
    """The document as UTF-8 bytes with an XML declaration."""
    root = ElementTree.Element("testsuites", name=visible(f"tidegate {report.kind} {report.title}"))
    for section in report.sections:
        _add_section(root, section)
    _add_verdict(root, report)
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _add_section(root: ElementTree.Element, section: Section) -> None:
    title = section_title(section)
    suite = ElementTree.SubElement(root, "testsuite", name=visible(title))
    for check in all_checks(section):
        _add_check(suite, title, check)
    if section.verdict is None:
        _add_case(suite, title, "suite", "skipped", "NOT_RUN", section.note or "not run")
    if section.started_at is not None:
        suite.set("timestamp", moment(section.started_at).removesuffix(" UTC").replace(" ", "T"))
    if section.started_at is not None and section.finished_at is not None:
        suite.set("time", f"{section.finished_at - section.started_at:.3f}")
    _count(suite)


def _add_check(suite: ElementTree.Element, title: str, check: Check) -> None:
    tag = {Verdict.PASS: "", Verdict.FAIL: "failure", Verdict.ERROR: "error"}.get(
        check.verdict if isinstance(check.verdict, Verdict) else Verdict.NO_DATA, "skipped"
    )
    case = _add_case(suite, title, check.name, tag, str(check.verdict), check.reason)
    properties = ElementTree.Element("properties")
    _add_property(properties, "verdict", str(check.verdict))
    for name in _PROPERTIES:
        value = getattr(check, name)
        if value not in (None, ""):
            _add_property(properties, name, value if isinstance(value, str) else _number(value))
    case.insert(0, properties)


def _add_verdict(root: ElementTree.Element, report: Report) -> None:
    suite = ElementTree.SubElement(root, "testsuite", name="tidegate")
    tag = {Verdict.PASS: "", Verdict.ERROR: "error"}.get(report.verdict, "failure")
    case = _add_case(
        suite, "tidegate", "verdict", tag, str(report.verdict), f"{report.verdict}: {report.reason}"
    )
    facts = {name: getattr(report, name) for name in _FACTS}
    if report.rollback:
        facts |= {name: getattr(report.rollback, name) for name in _ROLLBACK_FACTS}
    properties = ElementTree.Element("properties")
    for name, value in facts.items():
        if value is not None:
            _add_property(properties, name, value if isinstance(value, str) else _number(value))
    case.insert(0, properties)
    suite.set("time", f"{report.finished_at - report.started_at:.3f}")
    _count(suite)


def _add_case(
    suite: ElementTree.Element, classname: str, name: str, tag: str, kind: str, reason: str
) -> ElementTree.Element:
    case = ElementTree.SubElement(
        suite, "testcase", classname=visible(classname), name=visible(name), time="0"
    )
    if tag:
        outcome = ElementTree.SubElement(case, tag, type=kind, message=visible(reason))
        outcome.text = visible(reason)
    elif kind in (*NotJudged.__members__, *Verdict.__members__):
        ElementTree.SubElement(case, "system-out").text = visible(reason)
    return case


def _number(value: float) -> str:
    """`3`, also where a JSON reader has made 3.0 of it."""
    return repr(value).removesuffix(".0")


def _add_property(properties: ElementTree.Element, name: str, value: str) -> None:
    ElementTree.SubElement(properties, "property", name=name, value=visible(value))


def _count(suite: ElementTree.Element) -> None:
    suite.set("tests", str(len(suite.findall("testcase"))))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(len(suite.findall(f"testcase/{tag}"))))
