"""Where images lie: a folder, a zip, a bucket. Files are named by their path in it and brought one by one when needed.

Nothing is unpacked by its own name, so no name in a zip can lead anywhere.
"""

import os
import shutil
import stat
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from components.core.data.zip_safety import DAMAGED, ENCRYPTED, zip_bomb_reason
from components.core.errors import ConfigError, DataError, one_line
from components.core.io.os_errors import describe_os_errors
from components.core.store import Store, is_bucket, local_folder, open_store
from components.tile.images import UnusableImageError

IMAGES = "images"
_COMPANIONS = ".mrxs"  # a slide of this kind has a folder of its own name beside it


class ImageSource(Protocol):
    """A source of images.

    Attributes:
        where: What to call it in messages.
        home: Name of its site where nobody gives one.
    """

    where: str
    home: str

    def at(self, name: str) -> str:
        """What to call a file of it in messages."""

    def names(self) -> list[str]:
        """Every file that is not hidden, sorted, with slashes."""

    def read(self, name: str) -> bytes | None:
        """A small file; None where there is none."""

    def bring(self, name: str, scratch: Path) -> Path:
        """A file of this machine with the named one's content: itself, or a copy in `scratch`, which is made for it.

        Raises:
            OddImageError: It cannot be had; says why.
        """


def open_source(source: str, scratch: Path) -> ImageSource:
    """The place at an address: a folder, a zip file, an `s3://` prefix, or a zip there (copied to `scratch` whole).

    Raises:
        ConfigError: The address is empty, or none that is known.
        DataError: There is nothing, or the zip is damaged or hostile.
    """
    if not source:
        raise ConfigError("A source is empty: name a folder, a zip or an s3:// prefix with images.")
    if is_bucket(source):
        prefix, _, name = source.rstrip("/").rpartition("/")
        if not name.lower().endswith(".zip"):
            return Bucket(open_store(prefix if name == IMAGES else source), IMAGES if name == IMAGES else "")
        copy = scratch / name
        open_store(prefix).get(name, copy)
        return Zip(copy, source)
    path = local_folder(source)
    if path.is_file():
        return Zip(path, source)
    return Folder(path.parent, IMAGES) if path.name == IMAGES else Folder(path)


class Folder:
    """A folder, or a folder within one (labels may lie beside it). Links are followed only as far as it reaches."""

    def __init__(self, root: Path, below: str = "") -> None:
        self._root, self._below = root, below
        self.where, self.home = str(root / below), root.resolve().name

    def at(self, name: str) -> str:
        return str(self._root / name)

    def names(self) -> list[str]:
        top = self._root / self._below
        if not top.is_dir():
            raise DataError(f"There is no folder {top}.")
        return sorted(path.relative_to(self._root).as_posix() for path in self._walk(top))

    def read(self, name: str) -> bytes | None:
        path = self._root / name
        return path.read_bytes() if path.is_file() else None

    def bring(self, name: str, scratch: Path) -> Path:
        path = self._root / name
        if not path.exists():
            raise UnusableImageError("is a link to nothing")
        if not self._holds(path):
            raise UnusableImageError("is a link out of its folder")
        return path

    def _walk(self, top: Path) -> Iterator[Path]:
        for parent, folders, files in os.walk(top, onerror=_raise):
            folders[:] = [name for name in folders if not _hidden(name)]
            for path in (Path(parent, name) for name in folders):
                if path.is_symlink() and not self._holds(path):
                    raise DataError(
                        f"{path} is a link to a folder elsewhere: name that folder as a source of its own, or remove "
                        "the link."
                    )
            yield from (Path(parent, name) for name in files if not _hidden(name))

    def _holds(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self._root.resolve())


class Zip:
    """A zip file. Where everything lies in one folder of it, that folder is meant."""

    def __init__(self, path: Path, where: str) -> None:
        self.where, self.home = where, PurePosixPath(where).stem
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, *DAMAGED) as error:
            raise DataError(
                f"{where} is no zip that can be read ({one_line(error)}): name a folder or a sound zip."
            ) from None
        files = [one for one in self._zip.infolist() if not one.filename.endswith("/")]
        for entry in files:
            _refuse_hostile(entry, where, path.stat().st_size)
        entries = {one.filename: one for one in files if not _hidden_path(one.filename)}
        top = _common_folder(entries)
        self._entries = {name.removeprefix(top): entry for name, entry in entries.items()}

    def at(self, name: str) -> str:
        return f"{self.where}/{name}"

    def names(self) -> list[str]:
        return sorted(self._entries)

    def read(self, name: str) -> bytes | None:
        if name not in self._entries:
            return None
        try:
            return self._zip.read(_readable(self._entries[name]))
        except (UnusableImageError, OSError, *DAMAGED) as error:
            raise DataError(f"{name} in {self.where} cannot be read ({one_line(error)}): make the zip again.") from None

    def bring(self, name: str, scratch: Path) -> Path:
        for one, target in _copies(name, self._entries, scratch).items():
            try:
                with self._zip.open(_readable(self._entries[one])) as member, _made(target) as file:
                    shutil.copyfileobj(member, file, 1 << 20)
            except (OSError, *DAMAGED) as error:
                raise UnusableImageError(f"is damaged in the zip ({one_line(error)})") from None
        return _copy(scratch, name)


class Bucket:
    """Objects below a prefix of a bucket."""

    def __init__(self, store: Store, below: str = "") -> None:
        self._store, self._below = store, below
        self.where = f"{store.uri}/{below}".rstrip("/")
        self.home = store.uri.rpartition("/")[2]

    def at(self, name: str) -> str:
        return f"{self._store.uri}/{name}"

    def names(self) -> list[str]:
        names = (one.name for one in self._store.list(f"{self._below}/" if self._below else ""))
        return sorted(name for name in names if not name.endswith("/") and not _hidden_path(name))

    def read(self, name: str) -> bytes | None:
        note = self._store.read(name)
        return note.data if note else None

    def bring(self, name: str, scratch: Path) -> Path:
        beside = self._store.list(_companions(name)) if _companions(name) else []
        for one, target in _copies(name, (entry.name for entry in beside), scratch).items():
            self._store.get(one, target)
        return _copy(scratch, name)


@contextmanager
def _made(path: Path) -> Iterator[BinaryIO]:
    with describe_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            yield file


def _companions(name: str) -> str:
    """The folder that a slide cannot be read without; '' = it needs none."""
    return name[: -len(_COMPANIONS)] + "/" if name.lower().endswith(_COMPANIONS) else ""


def _copies(name: str, names: Iterable[str], scratch: Path) -> dict[str, Path]:
    """Where copies of an image and of what it cannot be read without lie, under names of our own."""
    folder = _companions(name)
    beside = {one: scratch / "image" / one.removeprefix(folder) for one in names if folder and one.startswith(folder)}
    return {name: _copy(scratch, name), **beside}


def _copy(scratch: Path, name: str) -> Path:
    return scratch / f"image{PurePosixPath(name).suffix.lower()}"


def _refuse_hostile(entry: zipfile.ZipInfo, where: str, zip_bytes: int) -> None:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or ":" in path.parts[0]:
        raise DataError(
            f"{where} has an entry {one_line(repr(entry.filename))}, which leads out of it: do not trust this zip; "
            "make it again from the folder of images."
        )
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise DataError(f"{where} has a link ({one_line(entry.filename)}): make the zip anew, with files only.")
    if why := zip_bomb_reason(entry, zip_bytes):
        raise DataError(f"{where} has an entry {one_line(entry.filename)} that {why}: do not trust this zip.")


def _readable(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    if entry.flag_bits & ENCRYPTED:
        raise UnusableImageError("is encrypted in the zip")
    return entry


def _common_folder(names: Iterable[str]) -> str:
    tops = {name.partition("/")[0] if "/" in name else "" for name in names}
    [top] = tops if len(tops) == 1 else [""]
    return f"{top}/" if top and top != IMAGES else ""


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _hidden_path(name: str) -> bool:
    return any(map(_hidden, name.split("/")))


def _raise(error: OSError) -> None:
    raise DataError(f"{error.filename} cannot be read ({error.strerror}): see to its rights.") from None
