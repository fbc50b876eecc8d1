"""The command line: one file a command, each imported only when it runs.

`tidegate --help` must cost no more than 150 ms of CPU, so this module imports click and nothing heavy;
a command's module is imported when the command is called, or its own help is asked for.
"""

import importlib
import sys

import click

from guard import __version__
from guard.errors import TidegateError

# name -> (module[:attribute], one line for the overview); without attribute, the module's `command`
_COMMANDS: dict[str, tuple[str, str]] = {
    "gate": ("guard.cli.gate", "Judge a candidate once: exit 0 pass, 1 fail, 2 undecided, 3 error."),
    "probe": ("guard.cli.probe", "Judge what serves now, once or every few minutes, with metrics."),
    "load": ("guard.cli.load", "Send open-loop streaming load and keep every request."),
    "guard": ("guard.cli.guard", "The daemon: judge each Change, move its weight, roll it back."),
    "change": ("guard.cli.change", "Open, list, wait for and close Changes."),
    "promote": ("guard.cli.intent:promote", "Take the rest of a Change's steps now."),
    "hold": ("guard.cli.intent:hold", "Stay at the current step."),
    "resume": ("guard.cli.intent:resume", "Go on after a hold."),
    "rollback": ("guard.cli.intent:rollback", "Return all traffic to the stable now."),
    "report": ("guard.cli.report", "Render a finished run or Change from its evidence alone."),
    "replay": ("guard.cli.replay", "Judge a recorded rollout again, under these or other settings."),
    "verify": ("guard.cli.verify", "Find every file of an evidence folder that was changed, added or lost."),
    "config": ("guard.cli.config", "Schemas and checks of --config files, Guards and Changes."),
    "doctor": ("guard.cli.doctor", "Find what keeps a guard from working, each with its remedy."),
    "demo": ("guard.cli.demo", "Three real rollouts on this machine, two of them bad."),
}


class _LazyGroup(click.Group):
    """Lists its commands from the table above, and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute or "command")
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
