"""A few tiles of a class, for a page."""

import numpy as np

from components.core.data.archive import ImageArchive
from components.core.data.images import Pixels


def sample_of_class(archive: ImageArchive, index: int, count: int) -> list[Pixels]:
    """Tiles of a class, spread over the archive and so over its patients.

    Args:
        archive: The archive.
        index: Class index, the column `label` of its manifest.
        count: Largest number of tiles.
    """
    files = archive.manifest.loc[archive.manifest["label"] == index, "file"].tolist()
    places = np.linspace(0, len(files) - 1, min(count, len(files))).astype(int)
    return list(archive.images([files[place] for place in places]))
