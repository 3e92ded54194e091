"""Publishing a stage's outputs: image archives are uploaded and replaced by references, other files stay.

An archive that the store has already is not uploaded again. One older than `RENEW_AFTER_S` is renewed in the store, so
that an expiration rule of the bucket never removes an archive to which a recent record refers.
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

RENEW_AFTER_S = 30 * 24 * 3600.0


def publish_or_fetch(path: Path) -> ArchiveReference | None:
    """Brings an artifact into the form in which the environment passes it on.

    With THYGAN_ARCHIVES set, an archive is uploaded and replaced by a reference; without it, a reference is replaced by
    its archive. Anything else stays.

    Args:
        path: File or folder of a finished artifact.

    Returns:
        The reference at the path; None = it is not a reference.

    Raises:
        DataError: The archive in the store differs from its reference.
        StoreError: The archive is missing, or the store cannot be reached.
    """
    reference, store = read_reference(path), archive_store()
    if store is None:
        if reference:
            download(reference, path)
        return None
    if reference:
        _renew_if_old(store, reference)
    elif _is_archive(path):
        reference = _upload(store, path)
        write_json(path, asdict(reference))
    return reference


def _upload(store: Store, path: Path) -> ArchiveReference:
    sha256, size_bytes = file_sha256(path), path.stat().st_size
    reference = ArchiveReference(f"{store.uri}/{sha256}.zip", size_bytes, sha256, content_hash(path))
    uploaded = store.status(reference.name)
    if uploaded is None or (uploaded.size_bytes, uploaded.sha256) != (size_bytes, sha256):
        store.put(path, reference.name)
        log(f"{path.name}: {size_bytes / 1e6:.2f} MB uploaded to {reference.archive}")
    _renew_if_old(store, reference)
    return reference


def _renew_if_old(store: Store, reference: ArchiveReference) -> None:
    """Verifies that the store has the archive, and renews it if it is old."""
    with open_remote(reference) as archive:
        if archive.status.age_s > RENEW_AFTER_S:
            store.renew(reference.name)


def _is_archive(path: Path) -> bool:
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return MANIFEST in archive.NameToInfo
