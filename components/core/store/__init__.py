"""Object stores: whole objects by name, in an S3 bucket or a folder."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from components.core.errors import ConfigError
from components.core.store.base import Entry, SmallObject, Status, Store
from components.core.store.folder import FolderStore

__all__ = ["Entry", "SmallObject", "Status", "Store", "is_bucket", "local_folder", "open_store"]

_BUCKET_SCHEMES = ("s3", "minio")  # KFP writes minio:// for any S3


def open_store(uri: str | Path, *, retries: int = 5, timeout_s: float = 60.0) -> Store:
    """The store at an address; nothing is asked of it yet.

    Args:
        uri: `s3://bucket/prefix`, `minio://bucket/prefix`, `file:///folder` or a folder. `s3.py` names the environment
            variables for buckets.
        retries: How often a failed request to a bucket is repeated, after 0, 1, 2, 4 … seconds.
        timeout_s: After which a bucket's silence is a failure.

    Raises:
        ConfigError: The address or the environment cannot be meant.
    """
    if not is_bucket(uri):
        return FolderStore(local_folder(uri))
    try:
        from components.core.store.s3 import S3Store, client_of_environment
    except ImportError:
        raise ConfigError(f"{uri}: buckets need the package minio: pip install thygan.") from None
    address = urlsplit(str(uri))
    if not address.netloc:
        raise ConfigError(f"{uri} names no bucket: write s3://bucket/prefix.")
    client, endpoint = client_of_environment(retries, timeout_s)
    return S3Store(client, endpoint, address.netloc, address.path.strip("/"))


def is_bucket(uri: str | Path) -> bool:
    """Whether an address is a bucket's; the others are folders'."""
    return urlsplit(str(uri)).scheme in _BUCKET_SCHEMES


def local_folder(uri: str | Path) -> Path:
    """The folder of `file:///folder` or of a plain path.

    Raises:
        ConfigError: It is another address, or none.
    """
    address = urlsplit(str(uri))
    if address.scheme == "file" and address.netloc in ("", "localhost") and address.path:
        return Path(unquote(address.path))
    if "://" in str(uri) or not str(uri):
        raise ConfigError(f"{str(uri)!r} is no store: give a folder, file:///folder or s3://bucket/prefix.")
    return Path(uri)
