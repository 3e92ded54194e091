"""The tiles that are put on the map: source, external sites, synthetic; named, pseudonymised and sampled."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from components.core.data.archive import CLASSES, LINEAGE, ImageArchive, Pixels
from components.core.data.manifest import read_manifest
from components.core.errors import DataError
from components.core.protocol.pseudonyms import patient_pseudonyms
from components.core.protocol.study_plan import BINARY, is_control

ARMS = "arms.json"
SOURCE, EXTERNAL, SYNTHETIC = "source", "external", "synthetic"


@dataclass(frozen=True)
class Tiles:
    """Tiles of all domains.

    Attributes:
        table: One row per tile: `archive` (place in `archives`), `file`, `role`, `domain`, `class`, `diagnosis`,
            `patient` (pseudonym), `group` (what is resampled together: the patient, or the tile itself),
            `arms` (tuple of the arms that use it).
        archives: Where the tiles lie.
        source_tiles: Source tiles there are, before sampling.
        added: Arm -> synthetic tiles that it adds.
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

    def sampled(self, most: int, rng: np.random.Generator, synthetic_each: int = 0) -> "Tiles":
        """At most `most` tiles, the same number from every domain where it has as many.

        Args:
            most: Tiles.
            rng: Draws them.
            synthetic_each: Above 0, `most` counts real tiles, and so many synthetic ones of each class come besides.
        """
        counted, besides = self.table, self.table[:0]
        if synthetic_each:
            is_synthetic = self.table["role"] == SYNTHETIC
            counted, besides = self.table[~is_synthetic], self.table[is_synthetic]
        quotas = _quotas(counted.groupby("domain", sort=True).size().to_dict(), most)
        groups = [(rows.index, quotas[domain]) for domain, rows in counted.groupby("domain", sort=True)]
        groups += [(rows.index, synthetic_each) for _, rows in besides.groupby(["domain", "class"], sort=True)]
        chosen = [rng.choice(places, min(most_of, len(places)), replace=False) for places, most_of in groups]
        places = np.sort(np.concatenate(chosen))
        return replace(self, table=self.table.iloc[places].reset_index(drop=True))


def gather(tiles: str, external_tiles: str, external_labels: str, synthetic: Sequence[str]) -> Tiles:
    """Reads the manifests; `external_tiles` may be '' or hold no tile."""
    generated = [ImageArchive(path) for path in synthetic]
    names = _class_names(generated)
    source = ImageArchive(tiles)
    sources = _real(source.manifest, SOURCE, names)
    parts, archives = [sources], [source]
    added: dict[str, int] = {}
    external = ImageArchive(external_tiles) if external_tiles else None
    if external is not None and len(external):
        parts.append(_real(_labelled(external.manifest, external_labels), EXTERNAL, names, set(sources["domain"])))
        archives.append(external)
    for archive in generated:
        rows, counts = _generated(archive, names)
        added |= counts
        parts.append(rows)
        archives.append(archive)
    table = pd.concat([part.assign(archive=place) for place, part in enumerate(parts)], ignore_index=True)
    if not len(sources):
        raise DataError(f"{tiles} holds no tiles: there is no source domain to map.")
    pseudonyms = patient_pseudonyms(table["identity"])
    patient = table["identity"].map(pseudonyms).fillna("")
    alone = "tile " + table["archive"].astype(str) + "/" + table["file"]
    table = table.assign(patient=patient, group=patient.where(patient != "", alone))
    return Tiles(table, archives, len(sources), added)


def _labelled(manifest: pd.DataFrame, labels: str) -> pd.DataFrame:
    """The blind external manifest with the labels that travel apart."""
    stated = read_manifest(labels).drop_duplicates("file").set_index("file")
    unknown = manifest.loc[~manifest["file"].isin(stated.index), "file"]
    if len(unknown):
        raise DataError(
            f"{labels} has no row for {len(unknown)} external tile(s), the first is {unknown.iloc[0]}: "
            "give the Manifest that was made together with these tiles."
        )
    return manifest.assign(
        label=manifest["file"].map(stated["label"]), diagnosis=manifest["file"].map(stated["diagnosis"])
    )


def _real(
    manifest: pd.DataFrame, role: str, names: dict[int, str], taken: Collection[str] = frozenset()
) -> pd.DataFrame:
    site = manifest["site"].where(manifest["site"] != "", role)
    return pd.DataFrame(
        {
            "file": manifest["file"],
            "role": role,
            "domain": [f"{one} ({role})" if one in taken else one for one in site],
            "class": [_class_name(label, names) for label in manifest["label"]],
            "diagnosis": manifest["diagnosis"],
            "identity": manifest["identity"],
            "arms": [()] * len(manifest),
        }
    )


def _generated(archive: ImageArchive, names: dict[int, str]) -> tuple[pd.DataFrame, dict[str, int]]:
    manifest = archive.manifest
    arms = {arm: counts for arm, counts in (archive.attachment(ARMS) or {}).items() if not is_control(arm)}
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
    return (archive.attachment(LINEAGE) or {}).get("scheme", "")


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
