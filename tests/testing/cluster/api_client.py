"""An HTTP client for the contract tests: it knows paths, patch content types and watches."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

Json = dict[str, Any]


class ApiClient(httpx.Client):
    """Plain HTTP to any API server, `kubectl proxy` included."""

    def __init__(self, url: str, timeout: float = 15) -> None:
        # Loading certificate authorities would take longer than most tests.
        super().__init__(base_url=url, timeout=timeout, trust_env=False, verify=False)

    def send_patch(self, path: str, kind: str, patch: Any, **query: str) -> httpx.Response:
        headers = {"content-type": f"application/{kind}"}
        return self.patch(path, content=json.dumps(patch), headers=headers, params=query)

    def json_patch(self, path: str, *steps: Json, **query: str) -> httpx.Response:
        return self.send_patch(path, "json-patch+json", steps, **query)

    def merge_patch(self, path: str, patch: Any, **query: str) -> httpx.Response:
        return self.send_patch(path, "merge-patch+json", patch, **query)

    def strategic_patch(self, path: str, patch: Any, **query: str) -> httpx.Response:
        return self.send_patch(path, "strategic-merge-patch+json", patch, **query)

    def apply(self, path: str, document: Any, manager: str, **query: str) -> httpx.Response:
        return self.send_patch(path, "apply-patch+yaml", document, fieldManager=manager, **query)

    def made(self, path: str, document: Any) -> Json:
        """Create, and return what the server made of it."""
        answer = self.post(path, json=document)
        assert answer.status_code == 201, answer.text
        created: Json = answer.json()
        return created

    def read(self, path: str, **query: str) -> Json:
        """GET that must succeed."""
        answer = self.get(path, params=query)
        assert answer.status_code == 200, answer.text
        document: Json = answer.json()
        return document

    def names(self, path: str, **query: str) -> list[str]:
        """The names in a list."""
        return [item["metadata"]["name"] for item in self.read(path, **query)["items"]]

    @contextmanager
    def watching(
        self, path: str, *, headers: dict[str, str] | None = None, **query: str
    ) -> Iterator[Iterator[tuple[str, Json]]]:
        """Events as (type, object) from an open watch; it ends by itself after 10 s."""
        asked = {"watch": "true", "timeoutSeconds": "10", **query}
        with self.stream("GET", path, params=asked, headers=headers) as answer:
            assert answer.status_code == 200
            lines = (json.loads(line) for line in answer.iter_lines())
            yield ((event["type"], event["object"]) for event in lines)


def eventually(holds: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether something comes true: a real cluster's controllers take their time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
