"""`tidegate promote|hold|resume|rollback CHANGE`: an operator's intent, written into the Change.

The commands write only `spec.action` and who asked; the guard acts on it at its next tick.
"""

import click

from guard.cli.kube import ask_for, cluster_options, connect, need_crds, requester

_HELP = {
    "Promote": "Take the rest of the steps without waiting for their holds.",
    "Hold": "Stay at the current step; rollback checks go on.",
    "Resume": "Go on after a hold.",
    "RollBack": "Return all traffic to the stable now.",
}


def _command(name: str, action: str) -> click.Command:
    @click.command(name, help=f"{_HELP[action]}\n\n\b\nExample:\n  tidegate {name} -n inference ops-1234")
    @cluster_options
    @click.argument("change")
    def run(namespace: str, context: str | None, kubeconfig: str | None, change: str) -> None:
        client = connect(kubeconfig, context)
        need_crds(client)
        ask_for(client, namespace, change, action, requester(client, kubeconfig, context))
        click.echo(f"change/{change}: {action} requested")

    return run


promote = _command("promote", "Promote")
hold = _command("hold", "Hold")
resume = _command("resume", "Resume")
rollback = _command("rollback", "RollBack")
