"""`tidegate demo`: three real rollouts on this machine."""

import click


@click.command("demo")
@click.option("--engine", type=click.Choice(["llamacpp", "vllm"]), default="llamacpp", show_default=True)
@click.option(
    "--api",
    type=click.Choice(["fake", "real"]),
    default="fake",
    show_default=True,
    help="real: custom resources on Kubernetes' own API server and etcd (make setup-api).",
)
@click.option("--keep", is_flag=True, help="Leave everything running at the end, until Ctrl-C.")
@click.option(
    "--only",
    metavar="NAME",
    multiple=True,
    help="Just healthy, broken-template or context-cut; may be repeated.",
)
@click.option("--dir", "folder", default=".tidegate/demo", show_default=True, help="For logs and evidence.")
def command(engine: str, api: str, keep: bool, only: tuple[str, ...], folder: str) -> None:
    """Run real rollouts through a real gateway: a healthy canary, a broken one, a harmful one.

    \b
    Example:
      tidegate demo --keep
    """
    import sys
    from pathlib import Path

    from guard.demo.run import run_demo

    sys.exit(run_demo(Path(folder).absolute(), engine, keep=keep, only=only, api=api))
