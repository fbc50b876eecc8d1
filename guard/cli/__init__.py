"""The command line: one file a command, each imported only when it runs.

`tidegate --help` must cost no more than 150 ms of CPU, so this module imports click and nothing heavy;
a command's module is imported when the command is called, or its own help is asked for.
"""

import importlib
import sys

import click

from guard import __version__
from guard.errors import TidegateError

# name -> (module, one line for the overview); the module holds the click command under the name `command`
_COMMANDS: dict[str, tuple[str, str]] = {}


class _LazyGroup(click.Group):
    """Lists its commands from the table above, and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Judge changes to a self-hosted LLM inference service, and undo the bad ones.

    \b
    Example, against two servers that already run:
      tidegate gate --candidate http://canary:8000 --baseline http://stable:8000 --out out
    """


def main() -> None:
    """Entry point. Exits 3 for everything that is not a judgement: usage, our own errors, any exception."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("tidegate: interrupted", err=True)
        sys.exit(3)
    except click.ClickException as error:
        error.show()
        sys.exit(3)
    except TidegateError as error:
        click.echo(f"tidegate: {error}", err=True)
        sys.exit(3)
    except Exception as error:
        import traceback

        traceback.print_exc()
        click.echo(f"tidegate: a fault of Tidegate itself: {type(error).__name__}: {error}", err=True)
        sys.exit(3)
    sys.exit(code if isinstance(code, int) else 0)
