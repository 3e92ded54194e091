"""Features that outlive the process that made them, so that a killed stage goes on where it was.

They are worth no run: a store that goes away, or takes nothing more, is said once and done without.
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
    """Features by what they were made from: the images' content and the extractor, in a store."""

    def __init__(self, store: Store, extractor: Extractor) -> None:
        self._store: Store | None = store
        self._extractor = extractor

    def features(self, source: Any, count: int, make: Callable[[], Features], what: str) -> Features:
        """Features [count, dim]: the kept ones, or what `make` gives, which is kept.

        Args:
            source: What the images are, as a JSON value: everything that they depend on.
            count: How many images.
            make: Computes the features.
            what: A short phrase for who watches.

        Raises:
            StoreError: The store may not be read, or is none.
        """
        name = f"{digest([source, count, self._extractor.record()])}.npy"
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "features.npy"
            if (kept := self._read_cached(name, file, count)) is not None:
                log(f"{what}: kept by an earlier run")
                return kept
            features = make()
            if self._store:
                file.write_bytes(npy_bytes(features))
                self._keep(self._store, file, name)
        return features

    def of_archive(self, archive: ImageArchive, batch: int, what: str) -> Features:
        """Features of every tile of an archive, in stored order; its content is its tiles' sha256."""
        return self.features(
            archive.manifest["sha256"].tolist(),
            len(archive),
            lambda: features_of(self._extractor, archive.images(), batch, what, len(archive)),
            what,
        )

    def _read_cached(self, name: str, file: Path, count: int) -> Features | None:
        try:
            if not self._store or not self._store.exists(name):
                return None
            self._store.get(name, file)
            kept = np.load(file, allow_pickle=False)
        except (DataError, ValueError, EOFError):
            return None  # torn: made again, and put in its place
        except StoreAwayError as error:
            self._do_without(error)
            return None
        return kept if kept.shape == (count, self._extractor.dim) and kept.dtype == np.float32 else None

    def _keep(self, store: Store, file: Path, name: str) -> None:
        try:
            store.put(file, name)
        except StoreError as error:
            self._do_without(error)

    def _do_without(self, error: StoreError) -> None:
        self._store = None
        log(f"{error} Features are kept no longer; the run goes on without.")


@contextmanager
def feature_cache(uri: str, extractor: Extractor) -> Iterator[FeatureCache]:
    """A cache in a folder or bucket; '' = in a temporary folder, for this run alone."""
    if uri:
        yield FeatureCache(open_store(uri), extractor)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield FeatureCache(open_store(folder), extractor)
