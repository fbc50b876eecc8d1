"""Deployment -> ReplicaSets -> Pods: revisions, rolling updates, and the status `kubectl rollout` waits on.

Level-triggered: each pass looks at everything and takes the steps that are allowed now. Knows no process:
pods are objects here.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from guard.adapters.kubernetes.client import DEPLOYMENTS, REPLICA_SETS, KubernetesClient, Object
from guard.testing.pods.deployment_status import deployment_status
from guard.testing.pods.objects import Snapshot, differs, key, owned, owner_reference
from guard.testing.pods.replica_sets import min_ready_seconds, size_of
from guard.testing.pods.rollout import Size, plan_sizes

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


def template_hash(template: Mapping[str, Any]) -> str:
    """Ten characters that differ when anything in the pod template does."""
    canonical = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]


def reconcile_deployment(client: KubernetesClient, deployment: Object, state: Snapshot, now: float) -> None:
    """Make the ReplicaSet of the current template, move sizes one allowed step, write the status."""
    sets = owned(state.replica_sets, deployment)
    template = template_hash(deployment["spec"]["template"])
    new = next((s for s in sets if s["metadata"]["labels"].get(HASH_LABEL) == template), None)
    old = sorted((s for s in sets if s is not new), key=_revision)
    if new is None:
        if not deployment["spec"].get("paused"):
            client.create(REPLICA_SETS, key(deployment)[0], _replica_set(deployment, template, old))
        return
    _renumber(client, deployment, new, old)
    sizes = {key(s)[1]: size_of(s, state.pods, min_ready_seconds(deployment), now) for s in sets}
    _resize(client, deployment, new, old, sizes)
    _forget(client, deployment, old, sizes)
    status = deployment_status(deployment, new, old, state.pods, now)
    if differs(deployment.get("status"), status):
        client.patch_merge(DEPLOYMENTS, *key(deployment), {"status": status}, subresource="status")


def _revision(item: Object) -> int:
    return int((item["metadata"].get("annotations") or {}).get(REVISION, 0))


def _desired(deployment: Object) -> int:
    return int(deployment["spec"].get("replicas", 1))


def _replica_set(deployment: Object, template: str, old: Sequence[Object]) -> Object:
    spec = deployment["spec"]
    pod_template = json.loads(json.dumps(spec["template"]))
    labels = pod_template.setdefault("metadata", {}).setdefault("labels", {})
    labels[HASH_LABEL] = template
    selector = json.loads(json.dumps(spec["selector"]))
    selector.setdefault("matchLabels", {})[HASH_LABEL] = template
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{deployment['metadata']['name']}-{template}",
            "namespace": key(deployment)[0],
            "labels": dict(labels),
            "annotations": {REVISION: str(max(map(_revision, old), default=0) + 1)},
            "ownerReferences": [owner_reference("apps/v1", "Deployment", deployment)],
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": min_ready_seconds(deployment),
            "selector": selector,
            "template": pod_template,
        },
    }


def _renumber(client: KubernetesClient, deployment: Object, new: Object, old: Sequence[Object]) -> None:
    """The current template has the highest revision, also after a return to an older template."""
    highest = max(map(_revision, old), default=0)
    revision = _revision(new) if _revision(new) > highest else highest + 1
    for resource, item in ((REPLICA_SETS, new), (DEPLOYMENTS, deployment)):
        if _revision(item) != revision:
            body = {"metadata": {"annotations": {REVISION: str(revision)}}}
            client.patch_merge(resource, key(item)[0], key(item)[1], body)


def _resize(
    client: KubernetesClient,
    deployment: Object,
    new: Object,
    old: Sequence[Object],
    sizes: Mapping[str, Size],
) -> None:
    newest = sizes[new["metadata"]["name"]]
    older = [sizes[s["metadata"]["name"]] for s in old]
    strategy = deployment["spec"].get("strategy") or {}
    for name, replicas in plan_sizes(strategy, _desired(deployment), newest, older).items():
        if replicas != sizes[name].wanted:
            client.patch_merge(REPLICA_SETS, key(deployment)[0], name, {"spec": {"replicas": replicas}})


def _forget(
    client: KubernetesClient, deployment: Object, old: Sequence[Object], sizes: Mapping[str, Size]
) -> None:
    keep = int(deployment["spec"].get("revisionHistoryLimit", 10))
    empty = [s for s in old if (size := sizes[s["metadata"]["name"]]).wanted == 0 and size.pods == 0]
    for replica_set in empty[: max(0, len(empty) - keep)]:
        client.delete(REPLICA_SETS, *key(replica_set))
