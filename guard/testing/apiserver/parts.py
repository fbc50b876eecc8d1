"""Where the parts lie that `make setup-api` builds and fetches. Builds nothing itself."""

from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

FOLDER = Path(__file__).resolve().parents[3] / ".api"
ETCD = FOLDER / "bin/etcd"
API_SERVER = FOLDER / "bin/apiextensions-apiserver"
DEFINITIONS = FOLDER / "gateway-api"


def missing_parts() -> str | None:
    """What is not there, with the remedy; None when everything is."""
    missing = [part.name for part in (ETCD, API_SERVER, DEFINITIONS) if not part.exists()]
    return f"{', '.join(missing)} not built; run (it needs Go): make setup-api" if missing else None


def gateway_definitions() -> list[Json]:
    """The Gateway API's official CustomResourceDefinitions, standard channel."""
    documents = (
        document
        for file in sorted(DEFINITIONS.glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
    )
    # Beside them lie the admission policies of an upgrade, which are no custom resources.
    return [document for document in documents if document["kind"] == "CustomResourceDefinition"]
