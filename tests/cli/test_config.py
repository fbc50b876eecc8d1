import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from guard.api.documents import json_schema
from guard.cli.config import command
from guard.errors import ConfigurationError


def config(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, standalone_mode=False)


@pytest.mark.parametrize(("asked", "kind"), [((), "config"), (("guard",), "guard"), (("change",), "change")])
def test_schema_prints_the_schema_alone(asked: tuple[str, ...], kind: str) -> None:
    assert json.loads(config("schema", *asked).stdout) == json_schema(kind)


def test_a_good_file_is_0_and_says_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "tidegate.yaml"
    file.write_text("suites: [{name: smoke}]\n")
    done = config("check", str(file))
    assert (done.return_value, done.stdout) == (0, f"{file}: a good config\n")


def test_each_refusal_is_told_and_is_1(tmp_path: Path) -> None:
    file = tmp_path / "tidegate.yaml"
    file.write_text("suites: [{name: smoke, timeuot: 5s}]\npolicies: x\n---\nkind: Deployment\n")
    done = config("check", str(file))
    assert done.return_value == 1
    assert "did you mean 'timeout'" in done.stderr
    assert f"{file} (document 1): policies: unknown key; did you mean 'policy'?" in done.stderr
    assert f"{file} (document 2): kind: expected one of Guard, Change" in done.stderr


@pytest.mark.parametrize("text", [None, "a: [", "\ufffe"], ids=["absent", "no YAML", "control character"])
def test_a_file_that_cannot_be_read_is_our_error(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "tidegate.yaml"
    if text is not None:
        file.write_text(text)
    assert isinstance(config("check", str(file)).exception, ConfigurationError)


def test_terminal_sequences_in_a_file_are_shown_and_not_sent(tmp_path: Path) -> None:
    file = tmp_path / "tidegate.yaml"
    file.write_text('"sui\\e[31mtes": 1\n')
    done = config("check", str(file))
    assert "\x1b" not in done.stderr
    assert "\\x1b[31m" in done.stderr
