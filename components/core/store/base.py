"""The protocol of a store, which folders and buckets implement, and the types of its answers."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from components.core.errors import DataError, StoreError
from components.core.io.atomic_files import file_sha256


@dataclass(frozen=True)
class Entry:
    """An object in a listing.

    Attributes:
        name: Name below the store's address, with slashes.
        size_bytes: Length, bytes.
        version: Text that changes whenever the object is written.
    """

    name: str
    size_bytes: int
    version: str = field(default="", compare=False)


@dataclass(frozen=True)
class SmallObject:
    """A small object, read whole.

    Attributes:
        data: Bytes of the object.
        version: Text that changes with the data; a condition of `Store.write`.
        age_s: Seconds since it was written, by the clock of the store alone.
    """

    data: bytes
    version: str
    age_s: float


@dataclass(frozen=True)
class Status:
    """Metadata of an object.

    Attributes:
        size_bytes: Length, bytes.
        version: Text that changes whenever the object is written.
        sha256: sha256 (hex) from its upload; '' = unknown.
        age_s: Seconds since it was written or renewed.
    """

    size_bytes: int
    version: str
    sha256: str
    age_s: float


class Store(Protocol):
    """Objects by name, each complete or absent even if a writer is killed.

    Every method raises StoreError if the store cannot be reached or denies access.

    Attributes:
        uri: Address of the store, without a slash at its end.
    """

    uri: str

    def put(self, path: Path, name: str) -> None:
        """Uploads a file with its sha256."""

    def get(self, name: str, path: Path) -> None:
        """Downloads an object to a file, atomically; DataError if its sha256 differs from the upload."""

    def read(self, name: str) -> SmallObject | None:
        """A small object; None = there is none of that name."""

    def write(self, name: str, data: bytes, *, replaces: str | None = None) -> str | None:
        """Writes a small object, if a condition holds; of several concurrent writers, one succeeds.

        Args:
            name: Name of the object.
            data: Its new bytes. They must be unique to the writer: a request may be repeated after its answer was
                lost, and only the data show then whose write succeeded.
            replaces: Version that the object must have; '' = there must be no object; None = no condition.

        Returns:
            The new version; None = the condition did not hold.
        """

    def list(self, prefix: str = "") -> list[Entry]:
        """All objects whose names begin with `prefix`, sorted by name."""

    def exists(self, name: str) -> bool:
        """Whether there is an object of that name."""

    def status(self, name: str) -> Status | None:
        """Metadata of an object; None = there is none of that name."""

    def read_range(self, name: str, start: int, length: int, version: str) -> bytes | None:
        """A range of an object; safe to call from several threads.

        Args:
            name: Name of the object.
            start: First byte.
            length: Number of bytes, at least 1; a shorter object is an error.
            version: Version that the object must have, from `status`.

        Returns:
            The bytes; None = the object has another version.
        """

    def renew(self, name: str) -> None:
        """Resets the age of an object to 0, so that expiration rules of a bucket count from now."""

    def delete(self, name: str) -> None:
        """Removes an object, if there is one."""


def validate_name(name: str) -> str:
    """The name, if it is a relative path below the store's address.

    Raises:
        StoreError: The name is empty, absolute, or contains `..`.
    """
    if any(part in ("", ".", "..") for part in name.split("/")) or re.search(r"[\x00-\x1f\\]", name):
        raise StoreError(f"{name!r} cannot be the name of an object: write words with single slashes between them.")
    return name


def verify_sha256(path: Path, expected: str | None, what: str) -> None:
    """Compares a downloaded file with the sha256 of its upload.

    Args:
        path: The file.
        expected: sha256 (hex); None or '' = unknown, nothing is compared.
        what: Name of the object, the subject of the message.

    Raises:
        DataError: The sha256 differs.
    """
    if expected and (actual := file_sha256(path)) != expected:
        raise DataError(
            f"{what} is damaged: its sha256 begins with {actual[:12]}, not with {expected[:12]}. Upload it again."
        )
