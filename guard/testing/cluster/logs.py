"""A pod's log, read from the file that whoever runs the pod names in an annotation."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from guard.testing.cluster.objects import Json
from guard.testing.cluster.replies import Reply
from guard.testing.cluster.requests import number
from guard.testing.cluster.statuses import bad_request

LOG_FILE_ANNOTATION = "local.tidegate.dev/log-file"
POLL_SECONDS = 0.05  # a follower sees a line within twice this


def log_reply(pod: Json, query: Mapping[str, str], ended: Callable[[], bool]) -> Reply:
    """The log as plain bytes.

    Args:
        ended: Whether nothing will be written any more; asked while somebody follows.
    """
    path = ((pod.get("metadata") or {}).get("annotations") or {}).get(LOG_FILE_ANNOTATION)
    if not path:
        name = pod["metadata"]["name"]
        raise bad_request(f'container in pod "{name}" is waiting to start: it has no log file')
    data, offset = _present(Path(path), query)
    if query.get("follow") in ("true", "1"):
        return Reply(stream=_follow(Path(path), data, offset, ended), content_type="text/plain")
    return Reply(data, content_type="text/plain")


def _present(path: Path, query: Mapping[str, str]) -> tuple[bytes, int]:
    data = path.read_bytes() if path.exists() else b""
    end = len(data)
    tail = number(query, "tailLines")
    if tail is not None:
        data = b"".join(data.splitlines(keepends=True)[-tail:]) if tail else b""
    limit = number(query, "limitBytes")
    return (data[:limit] if limit is not None else data), end


async def _follow(path: Path, data: bytes, offset: int, ended: Callable[[], bool]) -> AsyncIterator[bytes]:
    if data:
        yield data
    last_look = False
    while not last_look:
        await asyncio.sleep(POLL_SECONDS)
        last_look = ended()
        size = os.stat(path).st_size if path.exists() else 0
        if size < offset:
            offset = 0
        if size > offset:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read(size - offset)
            offset += len(data)
            yield data
