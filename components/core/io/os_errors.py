"""What a destination may do to a stage: be read-only, be full, be no folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.core.errors import StoreError


@contextmanager
def describe_os_errors(path: str | Path) -> Iterator[None]:
    """Turns an operating system's refusal of what is written here into a sentence about `path`.

    Raises:
        StoreError: The body raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written ({error.strerror or error}): give a place that can be written and has room; "
            "nothing of it was left there."
        ) from None
