"""An HTTP client for the contract tests."""

import json
from typing import Any

import httpx


class ApiClient(httpx.Client):
    """An HTTP client that knows the patch content types."""

    def send_patch(self, path: str, kind: str, patch: Any, **query: str) -> httpx.Response:
        headers = {"content-type": f"application/{kind}"}
        return self.patch(path, content=json.dumps(patch), headers=headers, params=query)

    def json_patch(self, path: str, *steps: dict[str, Any], **query: str) -> httpx.Response:
        return self.send_patch(path, "json-patch+json", steps, **query)

    def merge_patch(self, path: str, patch: Any, **query: str) -> httpx.Response:
        return self.send_patch(path, "merge-patch+json", patch, **query)

    def strategic_patch(self, path: str, patch: Any, **query: str) -> httpx.Response:
        return self.send_patch(path, "strategic-merge-patch+json", patch, **query)

    def apply(self, path: str, document: Any, manager: str, **query: str) -> httpx.Response:
        return self.send_patch(path, "apply-patch+yaml", document, fieldManager=manager, **query)

    def made(self, path: str, document: Any) -> dict[str, Any]:
        """Create, and return what the server made of it."""
        answer = self.post(path, json=document)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created
