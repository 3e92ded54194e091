"""A map over threads that computes a few results ahead."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_LEAD = 2  # computed ahead, at most


def prefetch_map(function: Callable[[Item], Result], items: Iterable[Item], workers: int = 0) -> Iterator[Result]:
    """`map(function, items)` on several threads, in order; memory does not grow with the number of items.

    It is faster where `function` waits or releases Python's lock, as decoding images does.

    Args:
        function: Applied to each item.
        items: Read lazily.
        workers: Threads; 0 = one per core.
    """
    workers = workers or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers) as pool:
        remaining = iter(items)
        waiting: deque[Future[Result]] = deque(
            pool.submit(function, item) for item in islice(remaining, _LEAD * workers)
        )
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
            yield done
