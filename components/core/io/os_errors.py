"""Errors of the operating system on writing, as sentences."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.core.errors import StoreError


@contextmanager
def describe_os_errors(path: str | Path) -> Iterator[None]:
    """Turns an OSError of the block into a StoreError about `path`, for example a read-only or full disk.

    Raises:
        StoreError: The block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written ({error.strerror or error}). No partial output was left. Choose a "
            "writable folder with enough space."
        ) from None
