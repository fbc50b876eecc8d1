"""The machinery behind a FakeCluster: one address that serves everything, custom groups by the real thing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from guard.testing.apiserver.machinery import ApiMachinery, MachineryError
from guard.testing.apiserver.parts import Json, gateway_definitions
from guard.testing.cluster import FakeCluster
from guard.testing.cluster.upstream import Upstream

ESTABLISHED_SECONDS = 30.0
POLL_SECONDS = 0.1
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@contextmanager
def machinery_behind(
    cluster: FakeCluster, folder: Path, host: str = "127.0.0.1", *, gateway_api: bool = True
) -> Iterator[ApiMachinery]:
    """Serve the custom groups of a cluster by the real machinery, until the block ends.

    Args:
        cluster: Serves already, because the machinery looks for Services there.
        folder: For logs, certificates and storage.
        gateway_api: Register the Gateway API's official definitions.
    Raises:
        MachineryError: A part is missing or does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    core = cluster.write_kubeconfig(folder / "core.kubeconfig")
    with ApiMachinery(folder, core, host) as machinery:
        context = machinery.certificates.context()
        if gateway_api:
            with httpx.Client(base_url=machinery.url, verify=context, trust_env=False, timeout=30) as client:
                register(client, gateway_definitions())
        cluster.pass_through(Upstream(machinery.url, context))
        yield machinery


def register(client: httpx.Client, definitions: list[Json]) -> None:
    """Create CustomResourceDefinitions, and wait until their kinds are served.

    Raises:
        MachineryError: One is refused, or not served in time.
    """
    for definition in definitions:
        answer = client.post(_DEFINITIONS, json=definition)
        if answer.status_code != 201:
            raise MachineryError(f"{definition['metadata']['name']}: {answer.text}")
    deadline = time.monotonic() + ESTABLISHED_SECONDS
    for definition in definitions:
        while not _served(client, definition):
            if time.monotonic() > deadline:
                raise MachineryError(f"{definition['metadata']['name']} is not served in time")
            time.sleep(POLL_SECONDS)


def _served(client: httpx.Client, definition: Json) -> bool:
    """Asked of the kind itself: a definition says Established a moment before its path is there."""
    spec = definition["spec"]
    versions = [version["name"] for version in spec["versions"] if version["served"]]
    paths = (f"/apis/{spec['group']}/{version}/{spec['names']['plural']}?limit=1" for version in versions)
    return all(client.get(path).status_code == 200 for path in paths)
