"""Claims about which files a layer's run leaves unread."""

from pathlib import Path

import pytest

from tests.layer_files import asked, may_hold

ALL_BUT = "not component and not real"
WHOLE = "import pytest\n\npytestmark = pytest.mark.{}\n"
ONE_TEST = "import pytest\n\n@pytest.mark.component\ndef test_a(): ...\n"
ONE_ROW = "ROWS = [5, pytest.param(100, marks=pytest.mark.component)]\n"
PLAIN = "def test_a(): ...\n"


@pytest.mark.parametrize(
    ("text", "expression", "held"),
    [
        (PLAIN, ALL_BUT, True),
        (PLAIN, "component", False),
        (WHOLE.format("component"), "component", True),
        (WHOLE.format("component"), ALL_BUT, False),
        (WHOLE.format("component"), "real", False),
        (WHOLE.format("component"), "real or component", True),
        (WHOLE.format("component"), "real and component", False),
        (ONE_TEST, "component", True),
        (ONE_TEST, ALL_BUT, True),
        (ONE_TEST, "real", False),
        (ONE_ROW, "component", True),
        (WHOLE.format("real") + ONE_TEST, "component", True),
        (WHOLE.format("real") + ONE_TEST, ALL_BUT, False),
    ],
)
def test_a_file_is_left_out_only_where_none_of_its_tests_can_be_chosen(
    tmp_path: Path, text: str, expression: str, held: bool
) -> None:
    file = tmp_path / "test_a.py"
    file.write_text(text, encoding="utf-8")
    assert may_hold(expression, file, tmp_path) is held


def test_a_conftest_above_a_file_can_mark_its_tests(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("API = pytest.mark.api\n", encoding="utf-8")
    file = tmp_path / "deep" / "test_a.py"
    file.parent.mkdir()
    file.write_text(PLAIN, encoding="utf-8")
    assert may_hold("api", file, tmp_path)
    assert not may_hold("api", file, file.parent)


def test_every_marker_of_an_expression_is_asked_for() -> None:
    assert asked("not (real or api) and not component") == {"real", "api", "component"}
    assert asked("") == frozenset()
