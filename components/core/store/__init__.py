"""Object stores: S3 buckets and folders of whole objects by name; opening one by its address."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from components.core.errors import ConfigError
from components.core.store.base import Entry, SmallObject, Status, Store
from components.core.store.folder import FolderStore

__all__ = ["Entry", "SmallObject", "Status", "Store", "is_bucket", "local_folder", "open_store"]

_BUCKET_SCHEMES = ("s3", "minio")  # KFP writes minio:// for any S3


def open_store(uri: str | Path, *, retries: int = 5, timeout_s: float = 60.0) -> Store:
    """The store at an address; no request is sent yet.

    Args:
        uri: `s3://bucket/prefix`, `minio://bucket/prefix`, `file:///folder` or a folder. `s3.py` lists the environment
            variables for buckets.
        retries: Number of repetitions of a failed request to a bucket, after 0, 1, 2, 4 … seconds.
        timeout_s: Longest wait for an answer of a bucket, seconds.

    Raises:
        ConfigError: The address or an environment variable is invalid.
    """
    if not is_bucket(uri):
        return FolderStore(local_folder(uri))
    try:
        from components.core.store.s3 import S3Store, client_of_environment
    except ImportError:
        raise ConfigError(f"{uri}: buckets need the package minio: pip install thygan.") from None
    address = urlsplit(str(uri))
    if not address.netloc:
        raise ConfigError(f"{uri} has no bucket name: write s3://bucket/prefix.")
    client, endpoint = client_of_environment(retries, timeout_s)
    return S3Store(client, endpoint, address.netloc, address.path.strip("/"))


def is_bucket(uri: str | Path) -> bool:
    """Whether an address is that of a bucket; any other is that of a folder."""
    return urlsplit(str(uri)).scheme in _BUCKET_SCHEMES


def local_folder(uri: str | Path) -> Path:
    """The folder of `file:///folder` or of a plain path.

    Raises:
        ConfigError: The address is empty or has another scheme.
    """
    address = urlsplit(str(uri))
    if address.scheme == "file" and address.netloc in ("", "localhost") and address.path:
        return Path(unquote(address.path))
    if "://" in str(uri) or not str(uri):
        raise ConfigError(
            f"{str(uri)!r} is not the address of a store: write a folder, file:///folder or s3://bucket/prefix."
        )
    return Path(uri)
