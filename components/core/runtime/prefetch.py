"""Work that runs ahead of whoever needs its results."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # results per thread that may wait


def prefetch_map(function: Callable[[Item], Result], items: Iterable[Item], workers: int = 0) -> Iterator[Result]:
    """`map(function, items)` by a thread per core (or `workers`), in order, a few results ahead: memory does not grow
    with the items.

    It pays where `function` waits or leaves Python's lock, as decoding images does.
    """
    workers = workers or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers) as pool:
        rest = iter(items)
        waiting: deque[Future[Result]] = deque(pool.submit(function, one) for one in islice(rest, _AHEAD * workers))
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(function, one) for one in islice(rest, 1))
            yield done
