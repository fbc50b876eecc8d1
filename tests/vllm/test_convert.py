"""The model folder is made once for each GGUF, and never seen half made. No vLLM: what writes is replaced."""

from pathlib import Path

import pytest

from stack.vllm import convert as module
from stack.vllm.convert import convert


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"one")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models" / "small"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The GGUFs that were converted; a folder then holds a copy."""
    seen: list[bytes] = []

    def write(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "weights").write_bytes(gguf.read_bytes())
        seen.append(gguf.read_bytes())

    monkeypatch.setattr(module, "_write_model", write)
    return seen


def test_a_second_conversion_of_the_same_file_does_nothing(
    gguf: Path, folder: Path, written: list[bytes]
) -> None:
    assert convert(gguf, folder)
    assert not convert(gguf, folder)
    assert written == [b"one"]


def test_another_file_replaces_the_folder_whole(gguf: Path, folder: Path, written: list[bytes]) -> None:
    convert(gguf, folder)
    (folder / "left-over").touch()
    gguf.write_bytes(b"two")
    assert convert(gguf, folder)
    assert (folder / "weights").read_bytes() == b"two"
    assert not (folder / "left-over").exists()


def test_a_folder_that_does_not_say_what_it_is_made_of_is_made_again(
    gguf: Path, folder: Path, written: list[bytes]
) -> None:
    folder.mkdir(parents=True)
    (folder / "source.json").write_text("{")
    assert convert(gguf, folder)


def test_a_conversion_that_breaks_leaves_nothing_behind(
    gguf: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "weights").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write_model", half)
    with pytest.raises(KeyboardInterrupt):
        convert(gguf, folder)
    assert list(folder.parent.iterdir()) == []


def test_a_model_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert module.main(["--model", "no-such-model", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("convert: no model 'no-such-model'")
