"""Atomic writes: files that are complete or absent; JSON and digests."""

import errno
import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.core.errors import DataError, one_line
from components.core.io.partial_files import partial_path, remove, remove_stale_partials

if TYPE_CHECKING:
    import numpy.typing as npt

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` for a file or a folder, which is renamed to `path` on success.

    On an exception the temporary file is removed and `path` is unchanged. Temporary files of killed writers of the same
    path are removed first. An error about a full disk names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = partial_path(path)
    remove(beside)
    remove_stale_partials(path)
    try:
        yield beside
        if beside.is_dir():
            remove(path)
        beside.replace(path)
    except OSError as error:
        if error.errno in NO_ROOM:
            error.filename = str(path)  # the system names it only on opening, and then by the temporary name
        raise
    finally:
        remove(beside)


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    with atomic_write(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Writes JSON with sorted keys, atomically; NaN and infinity, which JSON lacks, raise ValueError."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Reads a JSON file; raises DataError if it is missing or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path} is not valid JSON ({one_line(error)}): make it again with the stage that writes it."
        ) from None


def npy_bytes(array: "npt.NDArray[Any]") -> bytes:
    """An array as the bytes of a .npy file, because `np.save` to a full disk does not say why it fails."""
    import numpy as np  # takes a quarter of a second, and most command lines need none

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def digest(value: Any) -> str:
    """sha256 (hex) of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def file_sha256(path: str | Path) -> str:
    """sha256 (hex) of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
