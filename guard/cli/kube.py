"""Options and output that every command with a cluster shares: -n, --context, --kubeconfig."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from guard.adapters.kubernetes.client import KubernetesClient

Command = TypeVar("Command", bound=Callable[..., Any])


def cluster_options(command: Command) -> Command:
    """Adds `namespace`, `context` and `kubeconfig` to a command."""
    for option in (
        click.option(
            "--kubeconfig", metavar="FILE", help="Credentials; default $KUBECONFIG, then ~/.kube/config."
        ),
        click.option("--context", metavar="NAME", help="Context of the kubeconfig."),
        click.option(
            "-n",
            "--namespace",
            metavar="NAME",
            default="default",
            show_default=True,
            envvar="TIDEGATE_NAMESPACE",
        ),
    ):
        command = option(command)
    return command


def connect(
    kubeconfig: str | None, context: str | None, impersonate: str | None = None
) -> "KubernetesClient":
    """The API client; imported here, because it costs 0.5 s."""
    from guard.adapters.kubernetes.client import KubernetesClient

    return KubernetesClient(kubeconfig, context, impersonate=impersonate)


def need_crds(client: "KubernetesClient") -> None:
    """Raises ConfigurationError with the remedy when our own kinds are not served."""
    from guard.adapters.kubernetes.client import GUARDS
    from guard.errors import ConfigurationError, NotFoundError, UnauthorizedError

    try:
        client.list(GUARDS, "default")
    except NotFoundError as error:
        raise ConfigurationError(
            "the cluster does not know Guards (tidegate.dev/v1alpha1); run: kubectl apply -f deploy/crds.yaml"
        ) from error
    except UnauthorizedError:
        pass  # forbidden in `default` says nothing about the namespace that is asked for


class Duration(click.ParamType[float]):
    """`90s`, `2h` -> seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from guard.api.fields import seconds

        try:
            return seconds(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def change_named(client: "KubernetesClient", namespace: str, name: str) -> dict[str, Any]:
    """The Change. Raises ConfigurationError with the names that are there, when this one is not."""
    from guard.adapters.kubernetes.client import CHANGES
    from guard.errors import ConfigurationError, NotFoundError

    try:
        return client.get(CHANGES, namespace, name)
    except NotFoundError as error:
        changes = client.list(CHANGES, namespace)["items"]
        there = ", ".join(sorted(change["metadata"]["name"] for change in changes)) or "none"
        raise ConfigurationError(f"Change {name} is not in namespace {namespace}; there: {there}") from error


def ask_for(client: "KubernetesClient", namespace: str, name: str, action: str, by: str) -> None:
    """Writes an operator's intent into the Change, and who has it.

    Raises:
        ConfigurationError: There is no such Change, or it is past the point where the intent means anything.
    """
    from guard.adapters.kubernetes.client import CHANGES
    from guard.daemon.operator import ASKED_BY
    from guard.errors import ConfigurationError

    change = change_named(client, namespace, name)
    status = change.get("status") or {}
    phase, is_over = status.get("phase"), status.get("phase") == "Finished"
    late = phase in ("RollingBack", "Promoting") and action in ("Promote", "Hold", "Resume")
    if is_over or late:
        what = f"{phase} ({status.get('reason')})"
        raise ConfigurationError(f"change/{name} is {what}: nothing was asked of it; {action} comes too late")
    body = {"metadata": {"annotations": {ASKED_BY: f"{action} {by}"}}, "spec": {"action": action}}
    client.patch_merge(CHANGES, namespace, name, body)


def requester(client: "KubernetesClient", kubeconfig: str | None, context: str | None) -> str:
    """Who asks: as the API server sees it, else the kubeconfig's user, else $USER."""
    import os

    from guard.adapters.kubernetes.client import kubeconfig_user
    from guard.doctor.rights import who

    return who(client) or kubeconfig_user(kubeconfig, context) or os.environ.get("USER") or "unknown"
