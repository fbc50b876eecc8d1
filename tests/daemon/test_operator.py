"""Claims about whom an operator's action is put down to."""

from typing import Any

import pytest

from guard.daemon.operator import who


def change(asked_by: str | None, *managers: str) -> dict[str, Any]:
    fields = [{"manager": name, "fieldsV1": {"f:spec": {"f:action": {}}}} for name in managers]
    fields.append({"manager": "kube-apiserver", "fieldsV1": {"f:spec": {"f:guard": {}}}})
    annotations = {"tidegate.dev/asked-by": asked_by} if asked_by else {}
    return {"metadata": {"annotations": annotations, "managedFields": fields}, "spec": {"action": "Hold"}}


@pytest.mark.parametrize(
    ("asked_by", "managers", "found"),
    [
        ("Hold ann", ["tidegate"], "ann"),
        ("Hold ann", [], "ann"),
        ("RollBack ann", ["tidegate"], "an operator"),
        ("Hold ann", ["kubectl-patch"], "an operator (kubectl-patch)"),
        (None, ["kubectl-edit"], "an operator (kubectl-edit)"),
        (None, [], "an operator"),
    ],
)
def test_a_name_counts_only_for_the_action_it_was_written_with(
    asked_by: str | None, managers: list[str], found: str
) -> None:
    assert who(change(asked_by, *managers)) == found
