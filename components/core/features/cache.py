"""Cache of features in a folder or bucket, so that a stage that was killed resumes where it was.

A cache is not worth losing a run for: when its store fails, one line is logged and the run continues without it.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from components.core.data.archive import ImageArchive
from components.core.errors import DataError, StoreAwayError, StoreError
from components.core.features.extract import Features, features_of
from components.core.features.extractors import Extractor
from components.core.io.atomic_files import digest, npy_bytes
from components.core.runtime.progress import log
from components.core.store import Store, open_store


class FeatureCache:
    """Features in a store, by what they were computed from: the images' content and the extractor."""

    def __init__(self, store: Store, extractor: Extractor) -> None:
        self._store: Store | None = store
        self._extractor = extractor

    def features(self, source: Any, count: int, compute: Callable[[], Features], what: str) -> Features:
        """Features [count, dim] from the cache, else computed and cached.

        Args:
            source: Everything that the images depend on, as a JSON value.
            count: Number of images.
            compute: Function that computes the features.
            what: Short name of the work for the log.

        Raises:
            StoreError: The store may not be read, or does not exist.
        """
        name = f"{digest([source, count, self._extractor.record()])}.npy"
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "features.npy"
            if (cached := self._read(name, file, count)) is not None:
                log(f"{what}: taken from the cache")
                return cached
            features = compute()
            if self._store:
                file.write_bytes(npy_bytes(features))
                self._write(self._store, file, name)
        return features

    def of_archive(self, archive: ImageArchive, batch: int, what: str) -> Features:
        """Features of every tile of an archive, in stored order; the tiles' sha256 identify its content."""
        return self.features(
            archive.manifest["sha256"].tolist(),
            len(archive),
            lambda: features_of(self._extractor, archive.images(), batch, what, len(archive)),
            what,
        )

    def _read(self, name: str, file: Path, count: int) -> Features | None:
        try:
            if not self._store or not self._store.exists(name):
                return None
            self._store.get(name, file)
            cached = np.load(file, allow_pickle=False)
        except (DataError, ValueError, EOFError):
            return None  # a torn file: its features are computed again and replace it
        except StoreAwayError as error:
            self._disable(error)
            return None
        return cached if cached.shape == (count, self._extractor.dim) and cached.dtype == np.float32 else None

    def _write(self, store: Store, file: Path, name: str) -> None:
        try:
            store.put(file, name)
        except StoreError as error:
            self._disable(error)

    def _disable(self, error: StoreError) -> None:
        self._store = None
        log(f"{error} Features are no longer cached; the run continues.", level="warning")


@contextmanager
def feature_cache(uri: str, extractor: Extractor) -> Iterator[FeatureCache]:
    """A cache in a folder or bucket.

    Args:
        uri: Folder or s3://bucket/prefix; '' = a temporary folder for this run.
        extractor: Feature network.
    """
    if uri:
        yield FeatureCache(open_store(uri), extractor)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield FeatureCache(open_store(folder), extractor)
