"""Which differences confound a comparison."""

from dataclasses import replace

import pytest

from guard.core.fingerprint import COMPARED_FIELDS, EXPECTED_BY_DEFAULT, Fingerprint, confounders
from guard.errors import ConfigurationError

KNOWN = Fingerprint(**dict.fromkeys(COMPARED_FIELDS, "x"), replicas=2)


@pytest.mark.parametrize("field", COMPARED_FIELDS)
def test_undeclared_difference_confounds_by_name(field: str) -> None:
    assert confounders(KNOWN, replace(KNOWN, **{field: "y"}), expected=()) == [field]


@pytest.mark.parametrize("field", COMPARED_FIELDS)
def test_declared_difference_does_not(field: str) -> None:
    assert confounders(KNOWN, replace(KNOWN, **{field: "y"}), expected=[field]) == []


def test_field_unknown_on_either_side_is_named_and_not_confounding() -> None:
    unsure = replace(KNOWN, accelerator=None)
    assert confounders(KNOWN, unsure, ()) == confounders(unsure, KNOWN, ()) == []
    assert unsure.unknown() == ["accelerator"]


def test_replica_count_is_recorded_and_not_compared() -> None:
    assert confounders(KNOWN, replace(KNOWN, replicas=20), ()) == []


def test_machine_and_questions_must_match_by_default() -> None:
    other = Fingerprint(**dict.fromkeys(COMPARED_FIELDS, "y"))
    assert confounders(KNOWN, other) == ["accelerator", "suite_version", "dataset"]
    assert "chat_template" in EXPECTED_BY_DEFAULT


def test_unknown_field_of_the_change_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"templat: valid fields: .*chat_template"):
        confounders(KNOWN, KNOWN, ["templat"])


def test_unknown_survives_the_round_trip() -> None:
    one = Fingerprint(model="m", replicas=1)
    assert Fingerprint.from_json(one.to_json()) == one
    assert one.to_json()["accelerator"] is None
