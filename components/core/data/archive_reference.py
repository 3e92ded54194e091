"""References: small JSON files that stand for image archives in a bucket, of which stages read the ranges they need.

    THYGAN_ARCHIVES      s3://bucket/prefix or minio://bucket/prefix; unset = archives are passed on as files

    <THYGAN_ARCHIVES>/<sha256>.zip      an archive, stored once for equal bytes

A reference can be read wherever an archive can. An address outside THYGAN_ARCHIVES is refused before any request.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from components.core.errors import ConfigError, DataError
from components.core.io.atomic_files import atomic_write
from components.core.store import Store, is_bucket, open_store
from components.core.store.base import verify_sha256
from components.core.store.range_reader import RangedFile

ARCHIVES_VARIABLE = "THYGAN_ARCHIVES"
FORMAT = "thygan image archive elsewhere, 1"
_MAX_BYTES = 4096
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ArchiveReference:
    """An archive in a bucket.

    Attributes:
        archive: Address of the archive.
        bytes: Size of the archive, bytes.
        sha256: sha256 of the archive (hex).
        content: Its `content_hash`.
        format: Format of the reference itself.
    """

    archive: str
    bytes: int
    sha256: str
    content: str
    format: str = FORMAT

    @property
    def name(self) -> str:
        """Name of the archive below THYGAN_ARCHIVES."""
        return f"{self.sha256}.zip"


def read_reference(path: Path) -> ArchiveReference | None:
    """The reference in a file; None = the file is something else.

    Raises:
        DataError: The reference is damaged or forged.
    """
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        return None
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not str(value.get("format", "")).startswith(FORMAT.partition(",")[0]):
        return None
    try:
        reference = ArchiveReference(**value)
        is_valid = (
            reference.format == FORMAT
            and type(reference.bytes) is int
            and reference.bytes > 0
            and all(_SHA256.fullmatch(digest) for digest in (reference.sha256, reference.content))
            and is_bucket(reference.archive)
            and reference.archive.endswith(f"/{reference.name}")
            and not re.search(r"[\x00-\x20\\]", reference.archive)
        )
    except (TypeError, ValueError):
        is_valid = False
    if not is_valid:
        raise DataError(f"{path} is not a valid reference to an archive: run the stage that writes it again.")
    return reference


def archive_store() -> Store | None:
    """The store at THYGAN_ARCHIVES; None = the variable is unset.

    Raises:
        ConfigError: The variable is not the address of a bucket.
    """
    uri = os.environ.get(ARCHIVES_VARIABLE, "")
    if uri and not is_bucket(uri):
        raise ConfigError(f"{ARCHIVES_VARIABLE} is {uri!r}: write s3://bucket/prefix, or unset it.")
    return open_store(uri) if uri else None


def open_remote(reference: ArchiveReference) -> RangedFile:
    """The archive as a seekable file.

    Raises:
        ConfigError: THYGAN_ARCHIVES is unset.
        DataError: The archive is outside THYGAN_ARCHIVES, or its size or sha256 differs.
        StoreError: The archive is missing, or the store cannot be reached.
    """
    store = archive_store()
    if store is None:
        raise ConfigError(
            f"This is a reference to {reference.archive}: set {ARCHIVES_VARIABLE} to the place of your archives, or "
            "download it with `thygan artifacts pull`."
        )
    if reference.archive != f"{store.uri}/{reference.name}":
        raise DataError(
            f"A reference points to {reference.archive}, which is not in {store.uri} ({ARCHIVES_VARIABLE}): it is not "
            "followed. Run the stage that writes it again."
        )
    return RangedFile(store, reference.name, reference.bytes, reference.sha256)


def download(reference: ArchiveReference, path: Path) -> None:
    """Downloads the whole archive atomically and verifies its sha256.

    Raises:
        DataError: The sha256 differs.
        StoreError: The archive is missing, or the store cannot be reached.
    """
    store = open_store(reference.archive.rpartition("/")[0])
    with atomic_write(path) as partial:
        store.get(reference.name, partial)
        verify_sha256(partial, reference.sha256, reference.archive)


def localize(path: str | Path, folder: Path) -> Path:
    """Path of an archive on this disk, for several processes: the archive itself, or a download of a reference.

    Args:
        path: An archive or a reference.
        folder: Folder for the download.

    Raises:
        ConfigError, DataError, StoreError: As `open_remote` and `download`.
    """
    path = Path(path)
    if (reference := read_reference(path)) is None:
        return path
    target = folder / reference.name
    if not target.exists():
        open_remote(reference).close()
        download(reference, target)
    return target
