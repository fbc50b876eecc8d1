"""Reads what users write as YAML; a `--config` file is refused by path and nearest name."""

from pathlib import Path

import yaml

from guard.api.fields import parse
from guard.api.suites import SuitesConfig
from guard.errors import ConfigurationError


def read_suites_config(file: Path | None) -> SuitesConfig:
    """The file's suites and objectives, or the defaults where there is no file or it is empty.

    Raises:
        ConfigurationError: Not readable, not YAML, or a key or value that is not known.
    """
    if file is None:
        return SuitesConfig()
    where = f"--config {file}"
    documents = read_documents(file, where)
    if len(documents) > 1:
        raise ConfigurationError(f"{where}: expected one document, got {len(documents)}")
    return parse(SuitesConfig, documents[0] if documents else {}, where)


def read_documents(file: Path, where: str) -> list[object]:
    """Every YAML document of a file that is not empty, as plain data.

    Raises:
        ConfigurationError: Not readable, or not YAML.
    """
    try:
        found = yaml.safe_load_all(file.read_text(encoding="utf-8"))
        return [document for document in found if document is not None]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{where}: {getattr(error, 'strerror', None) or error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{where}: not YAML: {' '.join(str(error).split())}") from error
