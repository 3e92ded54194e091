"""What tells of memory, in the words of those who say it, and what does not."""

import pytest
import torch

from components.core.errors import is_out_of_memory


def _raised(work):
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        work()
    return caught.value


def test_what_tells_of_memory():
    assert is_out_of_memory(_raised(lambda: torch.empty(10**15)))
    assert is_out_of_memory(_raised(lambda: bytearray(1 << 60)))
    assert is_out_of_memory(ImportError("libx.so: failed to map segment from shared object"))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))


def test_what_does_not():
    assert not is_out_of_memory(_raised(lambda: torch.ones(2) @ torch.ones(3)))
    assert not is_out_of_memory(RuntimeError("could not create a primitive descriptor for a convolution"))
