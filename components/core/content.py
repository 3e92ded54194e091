"""What a file or a folder holds, as a digest that does not change when the same is made again.

Every artifact carries the records of its chain, and records carry seconds. They tell how something was made, not what
it is, so they are left out: a stage that is run again on the same input gives other bytes and the same content.
"""

import hashlib
import zipfile
from pathlib import Path

from components.core.files import digest, file_sha256
from components.core.results import RECORDS

_IMAGE = ".png"


def content(path: str | Path) -> str:
    """sha256 (hex) over the content of a file, an image archive or a folder, without its records.

    An archive's images are taken by name, size and checksum, its other entries (the manifest names each image's sha256)
    by their bytes: a large archive costs a look at its directory.
    """
    path = Path(path)
    if path.is_dir():
        return digest([[name, content(path / name)] for name in files_of(path) if Path(name).name != RECORDS])
    if not zipfile.is_zipfile(path):
        return file_sha256(path)
    with zipfile.ZipFile(path) as archive:
        entries = sorted(archive.infolist(), key=lambda one: one.filename)
        return digest(
            [
                [one.filename, one.file_size, one.CRC]
                if one.filename.endswith(_IMAGE)
                else [one.filename, hashlib.sha256(archive.read(one)).hexdigest()]
                for one in entries
                if one.filename != RECORDS
            ]
        )


def files_of(path: Path) -> list[str]:
    """Names of a folder's files below it, sorted; of a file, one empty name."""
    if path.is_file():
        return [""]
    return sorted(one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file())
