"""deploy/guard, as the real kubectl renders it: what a team applies to its cluster."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.daemon.conftest import ROOT

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def rendered() -> dict[str, Any]:
    """kind -> the only object of that kind; Roles are left out."""
    kubectl = Path(sys.executable).parent / "kubectl"
    done = subprocess.run(
        [kubectl, "kustomize", ROOT / "deploy/guard"], capture_output=True, check=True, timeout=60
    )
    return {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}


def test_evidence_is_written_where_the_claim_is_mounted(rendered):
    pod = rendered["Deployment"]["spec"]["template"]["spec"]
    (mount,) = pod["containers"][0]["volumeMounts"]
    assert mount["mountPath"] == rendered["ConfigMap"]["data"]["artifacts"]
    (volume,) = pod["volumes"]
    assert (
        volume["persistentVolumeClaim"]["claimName"] == rendered["PersistentVolumeClaim"]["metadata"]["name"]
    )


def test_the_pod_reads_the_settings_that_are_shipped_and_runs_as_nobody_special(rendered):
    pod = rendered["Deployment"]["spec"]["template"]["spec"]
    named = [e["valueFrom"].get("configMapKeyRef", {}).get("name") for e in pod["containers"][0]["env"]]
    assert rendered["ConfigMap"]["metadata"]["name"] in named
    assert pod["securityContext"]["runAsNonRoot"] is True


def test_no_image_is_called_latest(rendered):
    image = rendered["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert ":" in image
    assert not image.endswith(":latest")
