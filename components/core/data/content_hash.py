"""Content hashes: digests of files and folders that stay equal when a stage runs again on the same input.

Every artifact holds the records of its chain, and records hold run times. Records are left out, so that a repeated run
gives other bytes and the same content hash.
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

    Images of an archive count by name, size and CRC-32, other entries (among them the manifest with the sha256 of each
    image) by their bytes, so that only the directory of a large archive is read. A reference has the hash of its
    archive. A damaged archive is hashed as a plain file.
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
    """`content_hash` of a zip.

    Args:
        entries: Its directory.
        read: Returns the bytes of an entry; called for all entries but images and records.
    """
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
    """Whether an entry of an archive is an image."""
    return name.endswith(_IMAGE)


def list_files(path: Path) -> list[str]:
    """Relative paths of all files in a folder, sorted; for a file, one empty path."""
    if path.is_file():
        return [""]
    return sorted(one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file())
