"""Labels that travel apart from a blind tile set, joined to its tiles."""

import numpy as np
import pandas as pd

from components.core.errors import DataError

_REMEDY = "give the manifest that the tile stage wrote together with these tiles."


def join_labels(tiles: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """The rows of the labelled manifest, in the order of the tile set's.

    Args:
        tiles: Manifest of the tile set, blind or not.
        labels: Manifest with the labels, written together with the tile set.

    Returns:
        One row per tile with all columns of `labels`; a label may be missing (see `manifest.check_labels`).

    Raises:
        DataError: The manifests name different tiles, or tiles of different bytes (sha256).
    """
    if set(labels["file"]) != set(tiles["file"]) or len(labels) != len(tiles):
        raise DataError(
            f"The external labels name {len(labels)} tiles, the tile set has {len(tiles)}, and they are not the same: "
            f"{_REMEDY}"
        )
    labelled = labels.set_index("file", drop=False).loc[tiles["file"]].reset_index(drop=True)
    other = np.flatnonzero(labelled["sha256"].to_numpy() != tiles["sha256"].to_numpy())
    if len(other):
        raise DataError(
            f"{len(other)} external tiles are not those that were labelled (first: {tiles['file'].iloc[other[0]]}): "
            f"{_REMEDY}"
        )
    return labelled
