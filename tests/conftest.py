"""What several folders of tests share."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.fixture(scope="session")
def end_aside() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Ends a server beside the next test: uvicorn takes a tenth of a second for it, in which nothing happens.

    What goes wrong in it shows at the session's end.
    """
    with ThreadPoolExecutor(2) as pool:
        ends = []
        yield lambda end: ends.append(pool.submit(end))
        for end in ends:
            end.result()
