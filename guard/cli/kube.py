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
