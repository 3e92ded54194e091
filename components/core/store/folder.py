"""A folder as a store: names are paths, a checksum lies hidden beside each file."""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.core.errors import StoreError
from components.core.io.atomic_files import atomic_write, file_sha256, write_text
from components.core.store.base import Entry, SmallObject, Status, validate_name, verify


class FolderStore:
    """Objects in a folder; hidden files in it are the store's own."""

    def __init__(self, root: Path) -> None:
        self.root, self.uri = root, str(root)

    def put(self, path: Path, name: str) -> None:
        """Copies a file there. Its old checksum goes first, so that a death in between leaves a file without one."""
        target, checksum = self._at(name), file_sha256(path)
        with self._explained("written", name), atomic_write(target) as beside:
            shutil.copyfile(path, beside)
            sync(beside)
            _checksum_file(target).unlink(missing_ok=True)
        with self._explained("written", name):
            write_text(_checksum_file(target), checksum)

    def get(self, name: str, path: Path) -> None:
        """Copies an object from there."""
        source = self._at(name)
        with self._explained("read", name), atomic_write(path) as beside:
            shutil.copyfile(source, beside)
            noted = _checksum_file(source)
            verify(beside, noted.read_text() if noted.exists() else None, f"{self.uri}/{name}")

    def read(self, name: str) -> SmallObject | None:
        """A small object; its version is its sha256."""
        if not self.exists(name):
            return None
        with self._explained("read", name), self._at(name).open("rb") as file:
            data, age_s = file.read(), time.time() - os.fstat(file.fileno()).st_mtime
        return SmallObject(data, hashlib.sha256(data).hexdigest(), age_s)

    def write(self, name: str, data: bytes, *, replaces: str | None = None) -> str | None:
        """Writes a small object under a lock on the folder, so that comparing and writing are one."""
        target = self._at(name)
        with self._explained("written", name), self._locked():
            found = hashlib.sha256(target.read_bytes()).hexdigest() if target.exists() else ""
            if replaces not in (None, found):
                return None
            with atomic_write(target) as beside:
                beside.write_bytes(data)
            _checksum_file(target).unlink(missing_ok=True)
            return hashlib.sha256(data).hexdigest()

    def list(self, prefix: str = "") -> list[Entry]:
        """All files that are not hidden."""
        found = []
        with self._explained("listed"):
            for path in self.root.rglob("*"):
                name = path.relative_to(self.root)
                if path.is_file() and not any(part.startswith(".") for part in name.parts):
                    status = path.stat()
                    found.append(Entry(name.as_posix(), status.st_size, str(status.st_mtime_ns)))
        return sorted((one for one in found if one.name.startswith(prefix)), key=lambda one: one.name)

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        return self._at(name).is_file()

    def status(self, name: str) -> Status | None:
        """Of a file; its version is its time."""
        target = self._at(name)
        if not target.is_file():
            return None
        with self._explained("read", name):
            known, noted = target.stat(), _checksum_file(target)
            sha256 = noted.read_text() if noted.exists() else ""
        return Status(known.st_size, str(known.st_mtime_ns), sha256, time.time() - known.st_mtime)

    def read_range(self, name: str, start: int, length: int, version: str) -> bytes | None:
        """A part of a file."""
        with self._explained("read", name), self._at(name).open("rb") as file:
            if str(os.fstat(file.fileno()).st_mtime_ns) != version:
                return None
            data = os.pread(file.fileno(), length, start)
        if len(data) != length:
            raise StoreError(f"{self.uri}/{name} cannot be read: it ends before byte {start + length:,}.")
        return data

    def renew(self, name: str) -> None:
        """Gives a file the present time."""
        with self._explained("written", name):
            os.utime(self._at(name))

    def delete(self, name: str) -> None:
        """Removes a file and its checksum."""
        with self._explained("deleted", name):
            for path in (_checksum_file(self._at(name)), self._at(name)):
                path.unlink(missing_ok=True)

    def _at(self, name: str) -> Path:
        return self.root / validate_name(name)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _explained(self, doing: str, name: str = "") -> Iterator[None]:
        where = f"{self.uri}/{name}" if name else self.uri
        try:
            yield
        except FileNotFoundError:
            raise StoreError(f"{where} cannot be {doing}: it is not there.") from None
        except OSError as error:
            raise StoreError(
                f"{where} cannot be {doing} ({error.strerror}): see to the folder's rights and free space."
            ) from None


def sync(path: Path) -> None:
    """Has the disk keep a file's bytes, or a folder's names, before it goes on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checksum_file(target: Path) -> Path:
    return target.with_name(f".{target.name}.sha256")
