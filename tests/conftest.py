"""A run of one layer imports that layer's files: 40 to 180 of 190 stay unread, in each worker.

Where a file or a test is named on the command line, nothing is left out, and pytest says what it deselects.
"""

from pathlib import Path

import pytest

from tests import layer_files

TESTS = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not config.option.markexpr or collection_path.suffix != ".py":
        return None
    if any(Path(argument.partition("::")[0]).is_file() for argument in config.args):
        return None
    return None if layer_files.may_hold(config.option.markexpr, collection_path, TESTS) else True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A marker that the text does not show would leave its test out of its layer, silently: refused."""
    layers = layer_files.asked(config.option.markexpr or "")
    for item in items:
        hidden = layers & {mark.name for mark in item.iter_markers()} - layer_files.named(item.path, TESTS)
        if hidden:
            raise pytest.UsageError(f"{item.nodeid}: write `pytest.mark.{min(hidden)}` in the file itself")
