"""Reads a `--config` file: suites and objectives, refused by path and nearest name before anything starts."""

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
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{where}: {getattr(error, 'strerror', None) or error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{where}: not YAML: {' '.join(str(error).split())}") from error
    return parse(SuitesConfig, {} if document is None else document, where)
