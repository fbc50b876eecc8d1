"""A pod's log, read from the file that whoever runs the pod names in an annotation.

The file holds plain bytes without times. `sinceSeconds` and `sinceTime` therefore work by what the file's
size was when somebody last looked; where nobody did, a follower begins at the end and a reader gets all.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from guard.testing.cluster.human import instant
from guard.testing.cluster.objects import Json
from guard.testing.cluster.replies import Reply
from guard.testing.cluster.requests import number
from guard.testing.cluster.statuses import bad_request

LOG_FILE_ANNOTATION = "local.tidegate.dev/log-file"
POLL_SECONDS = 0.05  # a follower sees a line within twice this
SAMPLES = 4_000  # sizes remembered for each file; arbitrary


class PodLogs:
    """Answers log requests, and remembers how the files grew."""

    def __init__(self) -> None:
        self._sizes: dict[Path, deque[tuple[float, int]]] = defaultdict(lambda: deque(maxlen=SAMPLES))

    def reply(self, pod: Json, query: Mapping[str, str], ended: Callable[[], bool]) -> Reply:
        """The log as plain bytes.

        Args:
            ended: Whether nothing will be written any more; asked while somebody follows.
        """
        annotation = ((pod.get("metadata") or {}).get("annotations") or {}).get(LOG_FILE_ANNOTATION)
        if not annotation:
            name = pod["metadata"]["name"]
            raise bad_request(f'container in pod "{name}" is waiting to start: it has no log file')
        path, follow = Path(annotation), query.get("follow") in ("true", "1")
        begin, end = self._begin(path, pod, query, follow=follow), self._size(path)
        data = _shortened(_read(path, begin, end), query)
        if follow:
            return Reply(stream=self._follow(path, data, end, ended), content_type="text/plain")
        return Reply(data, content_type="text/plain")

    def _size(self, path: Path) -> int:
        size = path.stat().st_size if path.exists() else 0
        seen = self._sizes[path]
        if not seen or seen[-1][1] != size or time.time() - seen[-1][0] > 1:
            seen.append((time.time(), size))
        return size

    def _begin(self, path: Path, pod: Json, query: Mapping[str, str], *, follow: bool) -> int:
        """The offset at which the wanted part begins."""
        since = _since(query)
        if since is None or not path.exists():
            return 0
        if path.stat().st_mtime < since:
            return self._size(path)
        created = instant(pod["metadata"].get("creationTimestamp", ""))
        if created and created.timestamp() > since:
            return 0
        known = [size for at, size in self._sizes[path] if at <= since]
        if known:
            return known[-1]
        return self._size(path) if follow else 0

    async def _follow(
        self, path: Path, data: bytes, offset: int, ended: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        if data:
            yield data
        last_look = False
        while not last_look:
            await asyncio.sleep(POLL_SECONDS)
            last_look = ended()
            size = self._size(path)
            if size < offset:  # the file was begun anew
                offset = 0
            if size > offset:
                yield _read(path, offset, size)
                offset = size


def _since(query: Mapping[str, str]) -> float | None:
    """Unix seconds; None for the whole log."""
    seconds = number(query, "sinceSeconds")
    if seconds is not None:
        return time.time() - seconds
    if "sinceTime" not in query:
        return None
    moment = instant(query["sinceTime"])
    if moment is None:
        raise bad_request(f"sinceTime: {query['sinceTime']!r} is not an RFC 3339 time")
    return moment.timestamp()


def _read(path: Path, begin: int, end: int) -> bytes:
    if end <= begin:
        return b""
    with path.open("rb") as file:
        file.seek(begin)
        return file.read(end - begin)


def _shortened(data: bytes, query: Mapping[str, str]) -> bytes:
    tail, limit = number(query, "tailLines"), number(query, "limitBytes")
    if tail is not None:
        data = b"".join(data.splitlines(keepends=True)[-tail:]) if tail else b""
    return data if limit is None else data[:limit]
