"""What a file or a folder holds, as a digest that does not change when the same is made again.

Every artifact carries the records of its chain, and records carry seconds. They tell how something was made, not what
it is, so they are left out: a stage that is run again on the same input gives other bytes and the same content.
"""

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from components.core.data.archive_reference import read_reference
from components.core.data.file_names import RECORDS
from components.core.data.zip_safety import DAMAGED, ENCRYPTED, zip_bomb_reason
from components.core.io.atomic_files import digest, file_sha256

_IMAGE = ".png"


def content_hash(path: str | Path) -> str:
    """sha256 (hex) over the content of a file, an image archive or a folder, without its records.

    An archive's images are taken by name, size and checksum, its other entries (the manifest names each image's sha256)
    by their bytes: a large archive costs a look at its directory. A reference has its archive's. A damaged archive is
    a file like any other.
    """
    path = Path(path)
    if reference := read_reference(path):
        return reference.content
    if path.is_dir():
        return digest([[name, content_hash(path / name)] for name in list_files(path) if Path(name).name != RECORDS])
    if not zipfile.is_zipfile(path):
        return file_sha256(path)
    with suppress(OSError, *DAMAGED), zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if not any(one.flag_bits & ENCRYPTED or zip_bomb_reason(one, path.stat().st_size) for one in entries):
            return entries_hash(entries, archive.read)
    return file_sha256(path)


def entries_hash(entries: Iterable[zipfile.ZipInfo], read: Callable[[str], bytes]) -> str:
    """`content` of a zip, by its directory and what reads an entry that is no image."""
    return digest(
        [
            [one.filename, one.file_size, one.CRC]
            if is_image(one.filename)
            else [one.filename, hashlib.sha256(read(one.filename)).hexdigest()]
            for one in sorted(entries, key=lambda one: one.filename)
            if one.filename != RECORDS
        ]
    )


def is_image(name: str) -> bool:
    """Whether an archive's entry is an image."""
    return name.endswith(_IMAGE)


def list_files(path: Path) -> list[str]:
    """Names of a folder's files below it, sorted; of a file, one empty name."""
    if path.is_file():
        return [""]
    return sorted(one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file())
