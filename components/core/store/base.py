"""What a store does, be it a folder or a bucket."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from components.core.errors import DataError, StoreError
from components.core.io.atomic_files import file_sha256


@dataclass(frozen=True)
class Entry:
    """An object of a store.

    Attributes:
        name: Below the store's address, with slashes.
        size_bytes: Its length.
        version: Changes when the object is written anew.
    """

    name: str
    size_bytes: int
    version: str = field(default="", compare=False)


@dataclass(frozen=True)
class SmallObject:
    """A small object, read whole.

    Attributes:
        data: Its bytes.
        version: Changes with the data; what `Store.write` can insist on.
        age_s: Since it was written, by the store's own clock: no clock of ours has a part in it.
    """

    data: bytes
    version: str
    age_s: float


@dataclass(frozen=True)
class Status:
    """What a store says of an object without sending it.

    Attributes:
        size_bytes: Its length.
        version: Changes when the object is written anew.
        sha256: That it was put with; '' where nobody noted one.
        age_s: Since it was written or renewed.
    """

    size_bytes: int
    version: str
    sha256: str
    age_s: float


class Store(Protocol):
    """Objects by name. Each is whole or absent, whatever dies while it is written.

    Every method raises StoreError where the store cannot be reached or refuses.

    Attributes:
        uri: The store's address, without a slash at its end.
    """

    uri: str

    def put(self, path: Path, name: str) -> None:
        """Stores a file with its sha256."""

    def get(self, name: str, path: Path) -> None:
        """Brings an object to a file, complete or not at all; DataError where it is not what was put."""

    def read(self, name: str) -> SmallObject | None:
        """A small object; None where there is none."""

    def write(self, name: str, data: bytes, *, replaces: str | None = None) -> str | None:
        """Writes a small object, if a condition holds; of several who try at once, one succeeds.

        Args:
            name: Of the object.
            data: Its new bytes. Make them unlike any other's: a request may be repeated after its answer was lost,
                and only the data tell then whose they are.
            replaces: The version that must be there; '' = none may be; None = no condition.

        Returns:
            The new version, or None where the condition did not hold.
        """

    def list(self, prefix: str = "") -> list[Entry]:
        """All objects whose name begins so, by name."""

    def exists(self, name: str) -> bool:
        """Whether there is such an object."""

    def status(self, name: str) -> Status | None:
        """What there is to know of an object; None where there is none."""

    def read_range(self, name: str, start: int, length: int, version: str) -> bytes | None:
        """A part of an object, as long as it was asked for; several threads may ask at once.

        Args:
            name: Of the object.
            start: First byte.
            length: How many, at least 1; all of them must be there.
            version: The status's.

        Returns:
            The bytes, or None where the object has another version by now.
        """

    def renew(self, name: str) -> None:
        """Makes an object as young as if it had been put now: rules of a bucket count from there."""

    def delete(self, name: str) -> None:
        """Removes an object, if it is there."""


def validate_name(name: str) -> str:
    """The name, if it stays below the store's address.

    Raises:
        StoreError: It is empty, absolute, or climbs out.
    """
    if any(part in ("", ".", "..") for part in name.split("/")) or re.search(r"[\x00-\x1f\\]", name):
        raise StoreError(f"{name!r} cannot be the name of an object: give words with single slashes between them.")
    return name


def verify(path: Path, expected: str | None, what: str) -> None:
    """Compares a file that arrived with the sha256 that it was put with; None = nobody noted one.

    Raises:
        DataError: They differ.
    """
    if expected and (found := file_sha256(path)) != expected:
        raise DataError(
            f"{what} is torn: its sha256 begins with {found[:12]} and not with {expected[:12]}; put it there again."
        )
