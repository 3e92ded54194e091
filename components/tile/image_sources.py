"""Sources of images: folders, zips and buckets. Files are named by their path in it and fetched one by one.

No entry of a zip is unpacked under its own name, so a name in a zip cannot lead out of the scratch folder.
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
_SUFFIX_WITH_FOLDER = ".mrxs"  # the suffix of slides that have a folder of the same name beside them


class ImageSource(Protocol):
    """A source of images.

    Attributes:
        where: Its name in messages.
        default_site: Name of its site where none is stated.
    """

    where: str
    default_site: str

    def address(self, name: str) -> str:
        """A file's name in messages."""

    def file_names(self) -> list[str]:
        """Every file that is not hidden, sorted, with slashes."""

    def read(self, name: str) -> bytes | None:
        """The content of a small file; None where it does not exist."""

    def fetch(self, name: str, scratch: Path) -> Path:
        """A file on this machine with the named one's content: itself, or a copy in `scratch`, which is created.

        Raises:
            UnusableImageError: It cannot be fetched.
        """


def open_source(source: str, scratch: Path) -> ImageSource:
    """The source at an address: a folder, a zip file, an `s3://` prefix, or a zip there (copied to `scratch` whole).

    Raises:
        ConfigError: The address is empty, or of an unknown kind.
        DataError: Nothing is at the address, or the zip is damaged or hostile.
    """
    if not source:
        raise ConfigError("A source is empty: name a folder, a zip or an s3:// prefix with images.")
    if is_bucket(source):
        prefix, _, name = source.rstrip("/").rpartition("/")
        if not name.lower().endswith(".zip"):
            return BucketSource(open_store(prefix if name == IMAGES else source), IMAGES if name == IMAGES else "")
        copy = scratch / name
        open_store(prefix).get(name, copy)
        return ZipSource(copy, source)
    path = local_folder(source)
    if path.is_file():
        return ZipSource(path, source)
    return FolderSource(path.parent, IMAGES) if path.name == IMAGES else FolderSource(path)


class FolderSource:
    """A folder, or a folder within one (labels may be next to it). Links are followed only within the folder."""

    def __init__(self, root: Path, below: str = "") -> None:
        self._root, self._below = root, below
        self.where, self.default_site = str(root / below), root.resolve().name

    def address(self, name: str) -> str:
        return str(self._root / name)

    def file_names(self) -> list[str]:
        top = self._root / self._below
        if not top.is_dir():
            raise DataError(f"There is no folder {top}.")
        return sorted(path.relative_to(self._root).as_posix() for path in self._walk(top))

    def read(self, name: str) -> bytes | None:
        path = self._root / name
        return path.read_bytes() if path.is_file() else None

    def fetch(self, name: str, scratch: Path) -> Path:
        path = self._root / name
        if not path.exists():
            raise UnusableImageError("is a link to nothing")
        if not self._contains(path):
            raise UnusableImageError("is a link out of its folder")
        return path

    def _walk(self, top: Path) -> Iterator[Path]:
        for parent, folders, files in os.walk(top, onerror=_raise_unreadable):
            folders[:] = [name for name in folders if not _is_hidden(name)]
            for path in (Path(parent, name) for name in folders):
                if path.is_symlink() and not self._contains(path):
                    raise DataError(
                        f"{path} is a link to a folder elsewhere: name that folder as a source of its own, or remove "
                        "the link."
                    )
            yield from (Path(parent, name) for name in files if not _is_hidden(name))

    def _contains(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self._root.resolve())


class ZipSource:
    """A zip file. Where every entry is in one folder of it, names are relative to that folder."""

    def __init__(self, path: Path, where: str) -> None:
        self.where, self.default_site = where, PurePosixPath(where).stem
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, *DAMAGED) as error:
            raise DataError(
                f"{where} cannot be read as a zip ({one_line(error)}): name a folder or an undamaged zip."
            ) from None
        files = [entry for entry in self._zip.infolist() if not entry.filename.endswith("/")]
        for entry in files:
            _refuse_hostile(entry, where, path.stat().st_size)
        entries = {entry.filename: entry for entry in files if not _is_hidden_path(entry.filename)}
        top = _common_folder(entries)
        self._entries = {name.removeprefix(top): entry for name, entry in entries.items()}

    def address(self, name: str) -> str:
        return f"{self.where}/{name}"

    def file_names(self) -> list[str]:
        return sorted(self._entries)

    def read(self, name: str) -> bytes | None:
        if name not in self._entries:
            return None
        try:
            return self._zip.read(_check_encryption(self._entries[name]))
        except (UnusableImageError, OSError, *DAMAGED) as error:
            raise DataError(
                f"{name} in {self.where} cannot be read ({one_line(error)}): create the zip again."
            ) from None

    def fetch(self, name: str, scratch: Path) -> Path:
        for entry_name, target in _copy_paths(name, self._entries, scratch).items():
            try:
                entry = _check_encryption(self._entries[entry_name])
                with self._zip.open(entry) as member, _create_file(target) as file:
                    shutil.copyfileobj(member, file, 1 << 20)
            except (OSError, *DAMAGED) as error:
                raise UnusableImageError(f"is damaged in the zip ({one_line(error)})") from None
        return _copy_path(scratch, name)


class BucketSource:
    """Objects below a prefix of a bucket."""

    def __init__(self, store: Store, below: str = "") -> None:
        self._store, self._below = store, below
        self.where = f"{store.uri}/{below}".rstrip("/")
        self.default_site = store.uri.rpartition("/")[2]

    def address(self, name: str) -> str:
        return f"{self._store.uri}/{name}"

    def file_names(self) -> list[str]:
        names = (entry.name for entry in self._store.list(f"{self._below}/" if self._below else ""))
        return sorted(name for name in names if not name.endswith("/") and not _is_hidden_path(name))

    def read(self, name: str) -> bytes | None:
        note = self._store.read(name)
        return note.data if note else None

    def fetch(self, name: str, scratch: Path) -> Path:
        folder = _companion_folder(name)
        companions = self._store.list(folder) if folder else []
        for object_name, target in _copy_paths(name, (entry.name for entry in companions), scratch).items():
            self._store.get(object_name, target)
        return _copy_path(scratch, name)


@contextmanager
def _create_file(path: Path) -> Iterator[BinaryIO]:
    with describe_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            yield file


def _companion_folder(name: str) -> str:
    """The folder that a slide cannot be read without; '' = it needs none."""
    return name[: -len(_SUFFIX_WITH_FOLDER)] + "/" if name.lower().endswith(_SUFFIX_WITH_FOLDER) else ""


def _copy_paths(name: str, names: Iterable[str], scratch: Path) -> dict[str, Path]:
    """Paths for copies of an image and of the files it cannot be read without, independent of the image's name."""
    folder = _companion_folder(name)
    companions = {
        one: scratch / "image" / one.removeprefix(folder) for one in names if folder and one.startswith(folder)
    }
    return {name: _copy_path(scratch, name), **companions}


def _copy_path(scratch: Path, name: str) -> Path:
    return scratch / f"image{PurePosixPath(name).suffix.lower()}"


def _refuse_hostile(entry: zipfile.ZipInfo, where: str, zip_bytes: int) -> None:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or ":" in path.parts[0]:
        raise DataError(
            f"{where} has an entry {one_line(repr(entry.filename))}, which leads out of it: do not trust this zip; "
            "create it again from the folder of images."
        )
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise DataError(f"{where} has a link ({one_line(entry.filename)}): create the zip again, with files only.")
    if why := zip_bomb_reason(entry, zip_bytes):
        raise DataError(f"{where} has an entry {one_line(entry.filename)} that {why}: do not trust this zip.")


def _check_encryption(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    if entry.flag_bits & ENCRYPTED:
        raise UnusableImageError("is encrypted in the zip")
    return entry


def _common_folder(names: Iterable[str]) -> str:
    tops = {name.partition("/")[0] if "/" in name else "" for name in names}
    [top] = tops if len(tops) == 1 else [""]
    return f"{top}/" if top and top != IMAGES else ""


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _is_hidden_path(name: str) -> bool:
    return any(map(_is_hidden, name.split("/")))


def _raise_unreadable(error: OSError) -> None:
    raise DataError(f"{error.filename} cannot be read ({error.strerror}): change its permissions.") from None
