from guard.doctor.rights import GATEWAY_NEEDS, NEEDS, Need
from tests.doctor.conftest import guard_manifests


def _given(namespace: str) -> set[tuple[str, str, str]]:
    (role,) = (
        d for d in guard_manifests() if d["kind"] == "Role" and d["metadata"]["namespace"] == namespace
    )
    return {
        (group, resource, verb)
        for rule in role["rules"]
        if not rule.get("resourceNames")
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _needed(needs: tuple[Need, ...]) -> set[tuple[str, str, str]]:
    return {(need.group, need.resource, verb) for need in needs for verb in need.verbs}


def test_the_doctor_asks_for_what_the_role_of_the_manifests_gives_and_nothing_else() -> None:
    assert _needed(NEEDS) == _given("inference")


def test_and_for_what_it_gives_at_the_gateway() -> None:
    # The access log is a need of its own: without it, the guard still works.
    assert _needed(GATEWAY_NEEDS) | {("", "pods/log", "get")} == _given("gateway")
