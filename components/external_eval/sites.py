"""The external tiles with their labels, and what may be done with each site."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from components.core.classifier.frozen import Frozen
from components.core.classifier.tiles import same_mpp, site_mpp
from components.core.data.manifest import check_cases, is_missing, read_manifest
from components.core.errors import ConfigError, DataError, LeakageError
from components.core.protocol.lineage import Lineage, key_of
from components.core.protocol.study_plan import StudyPlan

UNKNOWN = "unknown"
_SHOWN = 5


def labelled(blind: pd.DataFrame, labels: str | Path) -> pd.DataFrame:
    """The archive's rows with label and diagnosis of the labels manifest; both must name the same tiles.

    Raises:
        DataError: Rows, bytes or labels that do not fit.
    """
    stated = read_manifest(labels)
    if set(stated["file"]) != set(blind["file"]) or len(stated) != len(blind):
        raise DataError(
            f"The external labels name {len(stated)} tiles, the tile set has {len(blind)}, and they are not the same: "
            "give the manifest that was made with these tiles."
        )
    stated = stated.set_index("file").loc[blind["file"]].reset_index()
    other = np.flatnonzero(stated["sha256"].to_numpy() != blind["sha256"].to_numpy())
    if len(other):
        raise DataError(
            f"{len(other)} external tiles are not those that were labelled (first: {blind['file'].iloc[other[0]]}): "
            "give the manifest that was made with these tiles."
        )
    unlabelled = stated[stated["label"].isna()]
    if len(unlabelled):
        raise DataError(
            f"{len(unlabelled)} external tiles have no class (first: {unlabelled['source'].iloc[0]} of site "
            f"{unlabelled['site'].iloc[0]}): give each image a binary class, or leave it out."
        )
    return stated


def admitted(table: pd.DataFrame, study: StudyPlan) -> pd.DataFrame:
    """The rows, with patient "unknown" at tile-level sites.

    Raises:
        ConfigError: A site that the study plan does not name.
        DataError: A tile without a patient at another site, or cases with two classes.
    """
    foreign = sorted(set(table["site"]) - set(study.external_sites)) if study.external_sites else []
    if foreign:
        raise ConfigError(
            f"The study plan does not name the external site {', '.join(foreign)}, only "
            f"{', '.join(study.external_sites)}: what is evaluated is stated before anything is trained; split again."
        )
    by_tile = table["site"].isin(study.tile_level_sites)
    nobody = table[table["patient"].map(is_missing) & ~by_tile]
    if len(nobody):
        raise DataError(
            f"{len(nobody)} tiles of site {nobody['site'].iloc[0]} have no patient: name the patients, or state the "
            "site as tile-level in the study plan."
        )
    for _, own in table[~by_tile].groupby("site"):  # two hospitals may both have a case 1
        check_cases(own)
    return table.assign(patient=table["patient"].mask(by_tile, UNKNOWN), case=table["case"].mask(by_tile, UNKNOWN))


def refuse_seen(table: pd.DataFrame, lineage: Lineage, folder: str | Path) -> None:
    """Refuses classifiers that have seen an external patient, or of which that cannot be said."""
    identities = set(table["identity"]) - {""}
    if not identities:
        return
    if key_of(identities) != lineage.key_id:
        raise LeakageError(
            f"The external patients are named with study key {key_of(identities)}, those of the classifiers in "
            f"{folder} with {lineage.key_id}: nothing can be proven disjoint; tile both with one study key."
        )
    seen = sorted(identities & set(lineage.patients))
    if seen:
        raise LeakageError(
            f"The classifiers in {folder} have seen {len(seen)} external patient(s) "
            f"({', '.join(seen[:_SHOWN])}{' …' if len(seen) > _SHOWN else ''}): take them out of the external tiles."
        )


def refuse_other_plan(classifiers: Sequence[Frozen], study: StudyPlan) -> None:
    """Refuses classifiers that are not the plan's: of another plan, twice, or fewer than its arms and seeds."""
    if not classifiers:
        raise ConfigError("There are no classifiers to evaluate: give at least one folder of classifier_cv.")
    for one in classifiers:
        if one.study != study.digest:
            raise ConfigError(
                f"Arm {one.arm!r}, seed {one.seed} was trained for the study plan {one.study[:12]}, this one is "
                f"{study.digest[:12]}: arms, threshold and endpoint are stated before anything is trained; give the "
                "plan that classifier_cv was given."
            )
    given = [(one.arm, one.seed) for one in classifiers]
    twice = [pair for pair in dict.fromkeys(given) if given.count(pair) > 1]
    if twice:
        raise ConfigError(
            f"Arm {twice[0][0]!r}, seed {twice[0][1]} stands in two folders: give the folders of one fold."
        )
    absent = [(arm, seed) for arm in study.arms for seed in study.seeds if (arm, seed) not in given]
    if absent:
        named = ", ".join(f"{arm} seed {seed}" for arm, seed in absent[:_SHOWN])
        raise ConfigError(
            f"The study plan names {len(absent)} classifier(s) that are not there ({named}"
            f"{' …' if len(absent) > _SHOWN else ''}): an arm left out is a result hidden; give the folders of all "
            "schemes."
        )


def refuse_unfit(table: pd.DataFrame, resolution: int, classifiers: Sequence[Frozen]) -> None:
    """Refuses tiles of another size or another known magnification than the classifiers were trained on."""
    for one in classifiers:
        if one.resolution != resolution:
            raise DataError(
                f"The external tiles have {resolution} px, the classifiers were trained on {one.resolution} px: "
                "tile the external images with the study's resolution."
            )
        for site, mpp in site_mpp(table).items():
            if not same_mpp(mpp, one.mpp):
                raise DataError(
                    f"The tiles of site {site} have {mpp:g} um/px, the classifiers were trained on {one.mpp:g}: "
                    "tile the external images at the study's um/px."
                )
