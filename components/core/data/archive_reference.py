"""A reference: the small file that stands for an image archive which lies in a bucket, where every stage reads of it
what it needs.

    THYGAN_ARCHIVES      s3://bucket/prefix or minio://bucket/prefix; none = archives are passed on as they are

    <THYGAN_ARCHIVES>/<sha256>.zip      the archive, under what it holds: the same twice lies there once

A reference is read wherever an archive is; it holds no right to read anything: an address that is not in the place of
the environment is refused before anything is asked of it.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from components.core.errors import ConfigError, DataError
from components.core.io.atomic_files import atomic_write
from components.core.store import Store, is_bucket, open_store
from components.core.store.base import verify
from components.core.store.range_reader import RangedFile

ARCHIVES_VARIABLE = "THYGAN_ARCHIVES"
FORMAT = "thygan image archive elsewhere, 1"
_LONGEST_BYTES = 4096
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ArchiveReference:
    """Stands for an archive.

    Attributes:
        archive: Where it lies.
        bytes: Its size.
        sha256: Of its bytes.
        content: Digest of what it holds, `content.content`'s.
        format: This file's.
    """

    archive: str
    bytes: int
    sha256: str
    content: str
    format: str = FORMAT

    @property
    def name(self) -> str:
        """Of the archive, in its place."""
        return f"{self.sha256}.zip"


def read_reference(path: Path) -> ArchiveReference | None:
    """The reference that a file is; None where it is something else.

    Raises:
        DataError: It is one that cannot be meant.
    """
    if not path.is_file() or path.stat().st_size > _LONGEST_BYTES:
        return None
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not str(value.get("format", "")).startswith(FORMAT.partition(",")[0]):
        return None
    try:
        reference = ArchiveReference(**value)
        is_sound = (
            reference.format == FORMAT
            and type(reference.bytes) is int
            and reference.bytes > 0
            and all(_SHA256.fullmatch(one) for one in (reference.sha256, reference.content))
            and is_bucket(reference.archive)
            and reference.archive.endswith(f"/{reference.name}")
            and not re.search(r"[\x00-\x20\\]", reference.archive)
        )
    except (TypeError, ValueError):
        is_sound = False
    if not is_sound:
        raise DataError(f"{path} is no sound reference to an archive: make it again with the stage that writes it.")
    return reference


def archive_store() -> Store | None:
    """The store that the environment names; None = archives are passed on as they are.

    Raises:
        ConfigError: It names no bucket.
    """
    uri = os.environ.get(ARCHIVES_VARIABLE, "")
    if uri and not is_bucket(uri):
        raise ConfigError(f"{ARCHIVES_VARIABLE} is {uri!r}: write s3://bucket/prefix, or leave it empty.")
    return open_store(uri) if uri else None


def open_remote(reference: ArchiveReference) -> RangedFile:
    """The archive as a file to seek in.

    Raises:
        ConfigError: The environment names no place of archives.
        DataError: The reference leads out of it, or to something else.
        StoreError: The archive is gone, or the store is away.
    """
    store = archive_store()
    if store is None:
        raise ConfigError(
            f"This is a reference to {reference.archive}: set {ARCHIVES_VARIABLE} to the place of your archives, or "
            "bring it here by `thygan artifacts pull`."
        )
    if reference.archive != f"{store.uri}/{reference.name}":
        raise DataError(
            f"A reference leads to {reference.archive}, which is not in {store.uri} ({ARCHIVES_VARIABLE}): it is not "
            "followed; make it again with the stage that writes it."
        )
    return RangedFile(store, reference.name, reference.bytes, reference.sha256)


def download(reference: ArchiveReference, path: Path) -> None:
    """Brings the whole archive to a file, compared with its sha256; complete or not at all.

    Raises:
        DataError: What lies there is another.
        StoreError: It is gone, or the store is away.
    """
    store = open_store(reference.archive.rpartition("/")[0])
    with atomic_write(path) as beside:
        store.get(reference.name, beside)
        verify(beside, reference.sha256, reference.archive)


def localize(path: str | Path, folder: Path) -> Path:
    """An archive as a file on this disk, which several processes read: itself, or brought to a folder.

    Raises:
        As `opened` and `brought`.
    """
    path = Path(path)
    if (reference := read_reference(path)) is None:
        return path
    target = folder / reference.name
    if not target.exists():
        open_remote(reference).close()
        download(reference, target)
    return target
