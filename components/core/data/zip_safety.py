"""Zips that lie about what is in them."""

import zipfile
import zlib

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError)  # what reading one raises
ENCRYPTED = 1  # of an entry's flags
BOMB_BYTES, BOMB_RATIO = 64 << 20, 100


def zip_bomb_reason(entry: zipfile.ZipInfo, zip_bytes: int) -> str:
    """What an entry claims that cannot be: the end of a sentence that begins with its name; '' = nothing.

    Args:
        entry: Of the zip's directory, which anybody may have written.
        zip_bytes: Size of the whole file.
    """
    if entry.compress_size > zip_bytes:
        return f"claims {entry.compress_size:,} bytes, of a zip of {zip_bytes:,}"
    if entry.file_size > max(BOMB_BYTES, BOMB_RATIO * entry.compress_size):
        return f"grows from {entry.compress_size:,} to {entry.file_size:,} bytes, as no image does"
    return ""
