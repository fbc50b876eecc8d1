from dataclasses import replace

import pytest

from guard.core.check import Check
from guard.core.evidence import Section
from guard.core.verdict import Verdict
from reports.words import duration, findings, moment, quantity, size


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0421, "seconds", "42.1 ms"),
        (0.9999, "seconds", "1 s"),
        (3.14159, "seconds", "3.14 s"),
        (0.0123, "ratio", "1.23 %"),
        (12.0, "count", "12"),
        (0.0, "ratio", "0 %"),
        (None, "seconds", "\u2013"),
    ],
)
def test_quantity_reads_in_the_unit_of_the_check(value, unit, shown):
    assert quantity(value, unit) == shown


def test_unknown_number_is_never_shown_as_zero():
    assert quantity(None, "count") != quantity(0, "count")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(119.0, "119 s"), (120.0, "2 min"), (125.4, "2 min 5 s"), (3600.0, "1 h")]
)
def test_long_durations_read_as_minutes_and_hours(seconds, shown):
    assert duration(seconds) == shown


def test_moments_are_in_utc_and_sizes_in_round_units():
    assert moment(0.0) == "1970-01-01 00:00:00 UTC"
    assert (size(999), size(48211)) == ("999 B", "48.2 kB")


def test_worst_findings_come_first_and_passed_checks_not_at_all(gate_report):
    checks = tuple(Check(str(v), v, "r") for v in reversed(Verdict))
    report = replace(gate_report, sections=(Section("smoke", Verdict.FAIL, checks),))
    assert [f.check.verdict for f in findings(report)] == ["FAIL", "ERROR", "NO_DATA", "INCONCLUSIVE"]


def test_broken_suite_is_a_finding_although_no_check_ran(gate_report):
    report = replace(gate_report, sections=(Section("eval", Verdict.ERROR, error="collection failed"),))
    assert [f.check.reason for f in findings(report)] == ["collection failed"]
