"""PyTorch's CPU threads: sums depend on their number, so it changes for a block at most."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from components.core.errors import ConfigError


@contextmanager
def cpu_threads(threads: int = 0) -> Iterator[None]:
    """PyTorch's threads inside the block; 0 leaves them. After it they are as before, whoever changed them."""
    if threads < 0:
        raise ConfigError(f"threads is {threads}: give a number of CPU threads, or 0.")
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
