"""Tiles of the map: source, external sites, synthetic; with names, pseudonyms and a sample of them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from components.core.data.archive import ImageArchive
from components.core.data.file_names import ARM_COUNTS, CLASSES, LINEAGE
from components.core.data.images import Pixels
from components.core.data.labels import join_labels
from components.core.data.manifest import read_manifest
from components.core.errors import DataError
from components.core.protocol.pseudonyms import patient_pseudonyms
from components.core.protocol.study_plan import BINARY, is_control

SOURCE, EXTERNAL, SYNTHETIC = "source", "external", "synthetic"


@dataclass(frozen=True)
class MapTiles:
    """Tiles of all domains.

    Attributes:
        table: One row per tile: `archive` (index in `archives`), `file`, `role`, `domain`, `class`, `diagnosis`,
            `patient` (pseudonym), `group` (what is resampled together: the patient, or the tile itself),
            `arms` (tuple of the arms that use it).
        archives: Archives of the tiles.
        source_tiles: Number of source tiles before sampling.
        added: Arm -> number of synthetic tiles that it adds.
    """

    table: pd.DataFrame
    archives: list[ImageArchive]
    source_tiles: int
    added: dict[str, int]

    def images(self) -> Iterator[Pixels]:
        """Pixels in the table's order."""
        places = zip(self.table["archive"], self.table["file"], strict=True)
        for archive, group in groupby(places, itemgetter(0)):
            yield from self.archives[archive].images([file for _, file in group])

    def sample(self, most: int, rng: np.random.Generator, synthetic_each: int | None = None) -> "MapTiles":
        """Draws at most `most` tiles, the same number of every domain where it has as many.

        Args:
            most: Largest number of tiles.
            rng: Source of randomness.
            synthetic_each: Number of synthetic tiles of each class besides `most` real ones; None = synthetic tiles
                count among `most`, as any domain's.
        """
        counted, besides = self.table, self.table[:0]
        if synthetic_each:
            is_synthetic = self.table["role"] == SYNTHETIC
            counted, besides = self.table[~is_synthetic], self.table[is_synthetic]
        quotas = _quotas(counted.groupby("domain", sort=True).size().to_dict(), most)
        groups = [(rows.index, quotas[domain]) for domain, rows in counted.groupby("domain", sort=True)]
        groups += [(rows.index, synthetic_each or 0) for _, rows in besides.groupby(["domain", "class"], sort=True)]
        chosen = [rng.choice(places, min(most_of, len(places)), replace=False) for places, most_of in groups]
        places = np.sort(np.concatenate(chosen))
        return replace(self, table=self.table.iloc[places].reset_index(drop=True))


def read_map_tiles(tiles: str, external_tiles: str, external_labels: str, synthetic: Sequence[str]) -> MapTiles:
    """Reads the manifests of all domains.

    Args:
        tiles: TileSet (zip) of the source.
        external_tiles: Blind TileSet (zip) of the external sites; '' or an empty one = no external sites.
        external_labels: Manifest (CSV) of the external tiles, with labels.
        synthetic: SyntheticTiles (zip), one per label scheme.

    Raises:
        DataError: No source tiles, or labels that are not those of the external tiles.
    """
    generated = [ImageArchive(path) for path in synthetic]
    names = _class_names(generated)
    source = ImageArchive(tiles)
    sources = _real(source.manifest, SOURCE, names)
    parts, archives = [sources], [source]
    added: dict[str, int] = {}
    external = ImageArchive(external_tiles) if external_tiles else None
    if external is not None and len(external):
        labelled = join_labels(external.manifest, read_manifest(external_labels))
        parts.append(_real(labelled, EXTERNAL, names, set(sources["domain"])))
        archives.append(external)
    for archive in generated:
        rows, counts = _read_synthetic(archive, names)
        added |= counts
        parts.append(rows)
        archives.append(archive)
    table = pd.concat([part.assign(archive=place) for place, part in enumerate(parts)], ignore_index=True)
    if not len(sources):
        raise DataError(
            f"{tiles} has no tiles, so there is no source domain to map: give the tile set of the study's own site."
        )
    pseudonyms = patient_pseudonyms(table["identity"])
    patient = table["identity"].map(pseudonyms).fillna("")
    alone = "tile " + table["archive"].astype(str) + "/" + table["file"]
    table = table.assign(patient=patient, group=patient.where(patient != "", alone))
    return MapTiles(table, archives, len(sources), added)


def _real(
    manifest: pd.DataFrame, role: str, names: dict[int, str], source_domains: Collection[str] = frozenset()
) -> pd.DataFrame:
    site = manifest["site"].where(manifest["site"] != "", role)
    return pd.DataFrame(
        {
            "file": manifest["file"],
            "role": role,
            "domain": [f"{name} ({role})" if name in source_domains else name for name in site],
            "class": [_class_name(label, names) for label in manifest["label"]],
            "diagnosis": manifest["diagnosis"],
            "identity": manifest["identity"],
            "arms": [()] * len(manifest),
        }
    )


def _read_synthetic(archive: ImageArchive, names: dict[int, str]) -> tuple[pd.DataFrame, dict[str, int]]:
    manifest = archive.manifest
    arms = {arm: counts for arm, counts in (archive.attachment(ARM_COUNTS) or {}).items() if not is_control(arm)}
    place = manifest.groupby("class").cumcount()
    used = {
        arm: (place < manifest["class"].map({int(index): n for index, n in counts.items()}).fillna(0)).to_numpy()
        for arm, counts in arms.items()
    }
    rows = pd.DataFrame(
        {
            "file": manifest["file"],
            "role": SYNTHETIC,
            "domain": f"synthetic ({_scheme(archive)})",
            "class": [_class_name(label, names) for label in manifest["label"]],
            "diagnosis": manifest["diagnosis"] if _scheme(archive) != BINARY else "",
            "identity": "",
            "arms": [tuple(arm for arm in used if used[arm][row]) for row in range(len(manifest))],
        }
    )
    return rows, {arm: int(mask.sum()) for arm, mask in used.items()}


def _scheme(archive: ImageArchive) -> str:
    return str((archive.attachment(LINEAGE) or {}).get("scheme", ""))


def _class_names(archives: list[ImageArchive]) -> dict[int, str]:
    """Binary class -> its name, as the binary generator's classes have it."""
    for archive in archives:
        if _scheme(archive) == BINARY:
            classes: list[dict[str, Any]] = archive.attachment(CLASSES) or []
            return {one["label"]: one["name"] for one in classes}
    return {}


def _class_name(label: Any, names: dict[int, str]) -> str:
    return "" if pd.isna(label) else names.get(int(label), f"class {label}")


def _quotas(sizes: dict[Any, int], most: int) -> dict[Any, int]:
    """Equal shares of `most`; what a small domain leaves goes to the larger ones."""
    quotas, left = {}, most
    for done, (domain, size) in enumerate(sorted(sizes.items(), key=lambda one: (one[1], str(one[0])))):
        quotas[domain] = min(size, left // (len(sizes) - done))
        left -= quotas[domain]
    return quotas
