"""What a stage passes on: files as they are, or references in the place of image archives.

An archive that is there already is not put again. It is made young again, by the store itself, where it is older than
`RENEWED_AFTER_S`: a bucket's rule that lets archives go so much later than records then never takes one away that a
record names.
"""

import zipfile
from dataclasses import asdict
from pathlib import Path

from components.core.data.archive_reference import (
    ArchiveReference,
    archive_store,
    download,
    open_remote,
    read_reference,
)
from components.core.data.content_hash import content_hash
from components.core.data.file_names import MANIFEST
from components.core.io.atomic_files import file_sha256, write_json
from components.core.runtime.progress import log
from components.core.store import Store

RENEWED_AFTER_S = 30 * 24 * 3600.0


def publish_or_fetch(path: Path) -> ArchiveReference | None:
    """Makes of what lies at a path what the environment wants to be passed on.

    An archive goes to the place of archives and a reference takes its name; where there is no such place, a reference
    is replaced by its archive. Anything else stays.

    Args:
        path: Of a finished artifact.

    Returns:
        The reference that lies there now, if one does.

    Raises:
        DataError: The archive in the store is another.
        StoreError: It is gone, or the store is away.
    """
    reference, place = read_reference(path), archive_store()
    if place is None:
        if reference:
            download(reference, path)
        return None
    if reference:
        _see_to(place, reference)
    elif _is_archive(path):
        reference = _put(place, path)
        write_json(path, asdict(reference))
    return reference


def _put(place: Store, path: Path) -> ArchiveReference:
    sha256, size_bytes = file_sha256(path), path.stat().st_size
    reference = ArchiveReference(f"{place.uri}/{sha256}.zip", size_bytes, sha256, content_hash(path))
    there = place.status(reference.name)
    if there is None or (there.size_bytes, there.sha256) != (size_bytes, sha256):
        place.put(path, reference.name)
        log(f"{path.name}: {size_bytes / 1e6:.2f} MB are in {reference.archive}")
    _see_to(place, reference)
    return reference


def _see_to(place: Store, reference: ArchiveReference) -> None:
    """Looks that an archive is there and is the right one, and makes it young again."""
    with open_remote(reference) as archive:
        if archive.status.age_s > RENEWED_AFTER_S:
            place.renew(reference.name)


def _is_archive(path: Path) -> bool:
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as opened_zip:
        return MANIFEST in opened_zip.NameToInfo
