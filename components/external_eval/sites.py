"""Checks of the external sites' tiles and of the classifiers that are evaluated on them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from components.core.classifier.frozen import FrozenClassifier
from components.core.classifier.tiles import same_mpp, site_mpp
from components.core.data.manifest import check_cases, is_missing
from components.core.errors import ConfigError, DataError, LeakageError
from components.core.protocol.lineage import Lineage, key_of
from components.core.protocol.study_plan import StudyPlan

UNKNOWN_PATIENT = "unknown"
_SHOWN = 5


def check_classes(table: pd.DataFrame) -> None:
    """Raises DataError for a tile without a class."""
    unlabelled = table[table["label"].isna()]
    if len(unlabelled):
        raise DataError(
            f"{len(unlabelled)} external tiles have no class (first: {unlabelled['source'].iloc[0]} of site "
            f"{unlabelled['site'].iloc[0]}): give each image a binary class, or leave it out."
        )


def admit_sites(table: pd.DataFrame, study: StudyPlan) -> pd.DataFrame:
    """The rows, with patient and case "unknown" at tile-level sites.

    Args:
        table: Manifest rows with labels.
        study: The study plan.

    Raises:
        ConfigError: A site that the study plan does not name.
        DataError: A tile without a patient at another site, or a case with two classes.
    """
    foreign = sorted(set(table["site"]) - set(study.external_sites)) if study.external_sites else []
    if foreign:
        raise ConfigError(
            f"The study plan does not name the external site {', '.join(foreign)}, only "
            f"{', '.join(study.external_sites)}: external sites are fixed before training; split again with it."
        )
    by_tile = table["site"].isin(study.tile_level_sites)
    anonymous = table[table["patient"].map(is_missing) & ~by_tile]
    if len(anonymous):
        raise DataError(
            f"{len(anonymous)} tiles of site {anonymous['site'].iloc[0]} have no patient: name the patients, or "
            "declare the site as tile-level in the study plan."
        )
    for _, of_site in table[~by_tile].groupby("site"):  # two hospitals may both have a case 1
        check_cases(of_site)
    return table.assign(
        patient=table["patient"].mask(by_tile, UNKNOWN_PATIENT), case=table["case"].mask(by_tile, UNKNOWN_PATIENT)
    )


def refuse_seen_patients(table: pd.DataFrame, lineage: Lineage, folder: str | Path) -> None:
    """Refuses classifiers that have seen an external patient, or for which the opposite cannot be proven.

    Args:
        table: Manifest rows of the external tiles.
        lineage: Lineage of the classifiers.
        folder: Folder of the classifiers, for the message.

    Raises:
        LeakageError: An external patient in the lineage, or another study key.
    """
    identities = set(table["identity"]) - {""}
    if not identities:
        return
    if key_of(identities) != lineage.key_id:
        raise LeakageError(
            f"The external patients have identities of study key {key_of(identities)}, those of the classifiers in "
            f"{folder} of {lineage.key_id}, so they cannot be compared: tile both with one study key."
        )
    seen = sorted(identities & set(lineage.patients))
    if seen:
        raise LeakageError(
            f"The classifiers in {folder} have seen {len(seen)} external patient(s) "
            f"({', '.join(seen[:_SHOWN])}{' …' if len(seen) > _SHOWN else ''}): remove them from the external tiles."
        )


def refuse_other_plan(classifiers: Sequence[FrozenClassifier], study: StudyPlan) -> None:
    """Refuses classifiers that are not exactly the plan's.

    Raises:
        ConfigError: None at all, one of another study plan, one twice, or fewer than its arms and seeds.
    """
    if not classifiers:
        raise ConfigError("There are no classifiers to evaluate: give at least one folder of classifier_cv.")
    for classifier in classifiers:
        if classifier.study != study.digest:
            raise ConfigError(
                f"Arm {classifier.arm!r}, seed {classifier.seed} was trained for the study plan "
                f"{classifier.study[:12]}, this one is {study.digest[:12]}: arms, threshold and endpoint are fixed "
                "before training; give the plan of classifier_cv."
            )
    pairs = [(classifier.arm, classifier.seed) for classifier in classifiers]
    twice = [pair for pair in dict.fromkeys(pairs) if pairs.count(pair) > 1]
    if twice:
        raise ConfigError(f"Arm {twice[0][0]!r}, seed {twice[0][1]} is in two folders: give the folders of one fold.")
    absent = [(arm, seed) for arm in study.arms for seed in study.seeds if (arm, seed) not in pairs]
    if absent:
        names = ", ".join(f"{arm} seed {seed}" for arm, seed in absent[:_SHOWN])
        raise ConfigError(
            f"The study plan names {len(absent)} classifier(s) that are missing ({names}"
            f"{' …' if len(absent) > _SHOWN else ''}), and leaving an arm out would hide its result: "
            "give the folders of all schemes."
        )


def refuse_unfit(table: pd.DataFrame, resolution: int, classifiers: Sequence[FrozenClassifier]) -> None:
    """Refuses tiles that differ from those of the training.

    Args:
        table: Manifest rows of the external tiles.
        resolution: Side of the external tiles, pixels.
        classifiers: The classifiers.

    Raises:
        DataError: Another size, or another known magnification.
    """
    magnifications = site_mpp(table)
    for classifier in classifiers:
        if classifier.resolution != resolution:
            raise DataError(
                f"The external tiles have {resolution} px, the classifiers were trained on {classifier.resolution} px: "
                "tile the external images with the study's resolution."
            )
        for site, mpp in magnifications.items():
            if not same_mpp(mpp, classifier.mpp):
                raise DataError(
                    f"The tiles of site {site} have {mpp:g} um/px, the classifiers were trained on "
                    f"{classifier.mpp:g}: tile the external images at the study's um/px."
                )
