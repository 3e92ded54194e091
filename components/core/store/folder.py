"""A folder as a store: names are paths, and the sha256 of each file is in a hidden file beside it."""

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
from components.core.store.base import Entry, SmallObject, Status, validate_name, verify_sha256


class FolderStore:
    """Objects in a folder; hidden files are internal to the store."""

    def __init__(self, root: Path) -> None:
        self.root, self.uri = root, str(root)

    def put(self, path: Path, name: str) -> None:
        """Copies a file to the store; the old checksum is removed first, so that a kill never leaves a wrong one."""
        target, checksum = self._at(name), file_sha256(path)
        with self._describe_errors("written", name), atomic_write(target) as beside:
            shutil.copyfile(path, beside)
            sync(beside)
            _checksum_file(target).unlink(missing_ok=True)
        with self._describe_errors("written", name):
            write_text(_checksum_file(target), checksum)

    def get(self, name: str, path: Path) -> None:
        """Copies an object to a file."""
        source = self._at(name)
        with self._describe_errors("read", name), atomic_write(path) as beside:
            shutil.copyfile(source, beside)
            checksum = _checksum_file(source)
            verify_sha256(beside, checksum.read_text() if checksum.exists() else None, f"{self.uri}/{name}")

    def read(self, name: str) -> SmallObject | None:
        """A small object; its version is its sha256."""
        if not self.exists(name):
            return None
        with self._describe_errors("read", name), self._at(name).open("rb") as file:
            data, age_s = file.read(), time.time() - os.fstat(file.fileno()).st_mtime
        return SmallObject(data, hashlib.sha256(data).hexdigest(), age_s)

    def write(self, name: str, data: bytes, *, replaces: str | None = None) -> str | None:
        """Writes a small object under a lock on the folder, which makes the comparison and the write one step."""
        target = self._at(name)
        with self._describe_errors("written", name), self._lock():
            version = hashlib.sha256(target.read_bytes()).hexdigest() if target.exists() else ""
            if replaces not in (None, version):
                return None
            with atomic_write(target) as beside:
                beside.write_bytes(data)
            _checksum_file(target).unlink(missing_ok=True)
            return hashlib.sha256(data).hexdigest()

    def list(self, prefix: str = "") -> list[Entry]:
        """All files that are not hidden."""
        entries = []
        with self._describe_errors("listed"):
            for path in self.root.rglob("*"):
                name = path.relative_to(self.root)
                if path.is_file() and not any(part.startswith(".") for part in name.parts):
                    status = path.stat()
                    entries.append(Entry(name.as_posix(), status.st_size, str(status.st_mtime_ns)))
        return sorted((entry for entry in entries if entry.name.startswith(prefix)), key=lambda entry: entry.name)

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return self._at(name).is_file()

    def status(self, name: str) -> Status | None:
        """Metadata of a file; its version is its modification time."""
        target = self._at(name)
        if not target.is_file():
            return None
        with self._describe_errors("read", name):
            stat, checksum = target.stat(), _checksum_file(target)
            sha256 = checksum.read_text() if checksum.exists() else ""
        return Status(stat.st_size, str(stat.st_mtime_ns), sha256, time.time() - stat.st_mtime)

    def read_range(self, name: str, start: int, length: int, version: str) -> bytes | None:
        """A range of a file."""
        with self._describe_errors("read", name), self._at(name).open("rb") as file:
            if str(os.fstat(file.fileno()).st_mtime_ns) != version:
                return None
            data = os.pread(file.fileno(), length, start)
        if len(data) != length:
            raise StoreError(f"{self.uri}/{name} cannot be read: it ends before byte {start + length:,}.")
        return data

    def renew(self, name: str) -> None:
        """Sets the modification time of a file to now."""
        with self._describe_errors("written", name):
            os.utime(self._at(name))

    def delete(self, name: str) -> None:
        """Removes a file and its checksum."""
        with self._describe_errors("deleted", name):
            for path in (_checksum_file(self._at(name)), self._at(name)):
                path.unlink(missing_ok=True)

    def _at(self, name: str) -> Path:
        return self.root / validate_name(name)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _describe_errors(self, action: str, name: str = "") -> Iterator[None]:
        where = f"{self.uri}/{name}" if name else self.uri
        try:
            yield
        except FileNotFoundError:
            raise StoreError(f"{where} cannot be {action}: it does not exist.") from None
        except OSError as error:
            raise StoreError(
                f"{where} cannot be {action} ({error.strerror}): check its permissions and the free space."
            ) from None


def sync(path: Path) -> None:
    """Waits until the bytes of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checksum_file(target: Path) -> Path:
    return target.with_name(f".{target.name}.sha256")
