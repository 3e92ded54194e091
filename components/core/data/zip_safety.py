"""Checks of a zip's directory, which anybody may have written, against zip bombs."""

import zipfile
import zlib

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError)  # of a damaged zip
ENCRYPTED = 1  # bit of an entry's flags
BOMB_BYTES, BOMB_RATIO = 64 << 20, 100


def zip_bomb_reason(entry: zipfile.ZipInfo, zip_bytes: int) -> str:
    """The reason why an entry must not be read, as the end of a sentence about it; '' = it may be read.

    Args:
        entry: Entry of the zip's directory.
        zip_bytes: Size of the zip file, bytes.
    """
    if entry.compress_size > zip_bytes:
        return f"claims {entry.compress_size:,} bytes, in a zip of {zip_bytes:,}"
    if entry.file_size > max(BOMB_BYTES, BOMB_RATIO * entry.compress_size):
        return f"grows from {entry.compress_size:,} to {entry.file_size:,} bytes, as no image does"
    return ""
