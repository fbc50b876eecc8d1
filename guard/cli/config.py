"""`tidegate config`: the schemas of what users write, and a check of it before it is used."""

from pathlib import Path

import click


@click.group("config")
def command() -> None:
    """Schemas and checks of --config files, Guards and Changes; needs neither a cluster nor a network.

    \b
    Example, for an editor with yaml-language-server (a first line of the file):
      # yaml-language-server: $schema=deploy/schemas/guard.json
    """


@command.command("schema")
@click.argument("kind", type=click.Choice(["config", "guard", "change"]), default="config")
def schema(kind: str) -> None:
    """Print the JSON Schema (draft 2020-12) of a --config file, a Guard or a Change."""
    import json

    from guard.api.documents import json_schema

    click.echo(json.dumps(json_schema(kind), indent=2))


@command.command("check")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(files: tuple[Path, ...]) -> int:
    """Say what would be refused in a --config file, a Guard or a Change, and why.

    Exit code: 0 nothing, 1 something, 3 a file cannot be read.
    """
    from guard.adapters.config_file import read_documents
    from guard.api.documents import read_document
    from guard.core.text import visible
    from guard.errors import ConfigurationError

    refused = False
    for file in files:
        documents = read_documents(file, str(file)) or [{}]
        for number, document in enumerate(documents, 1):
            where = str(file) if len(documents) == 1 else f"{file} (document {number})"
            try:
                click.echo(f"{where}: a good {read_document(document, where)}")
            except ConfigurationError as error:
                refused = True
                click.echo(visible(str(error)), err=True)
    return 1 if refused else 0
