"""The number of PyTorch's CPU threads, which sums depend on, so that it changes inside a block only."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from components.core.errors import ConfigError


@contextmanager
def cpu_threads(threads: int = 0) -> Iterator[None]:
    """Sets the number of PyTorch's CPU threads inside the block; the number before it is restored.

    Args:
        threads: Number of threads; 0 = unchanged.

    Raises:
        ConfigError: The number is negative.
    """
    if threads < 0:
        raise ConfigError(f"threads is {threads}: give a number of CPU threads, or 0.")
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
