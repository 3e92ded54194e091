"""Decides, before anything is trained, who trains, validates and tests in each fold, and what is compared with what."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from components.core.data.manifest import class_map, read_manifest
from components.core.errors import ConfigError, DataError
from components.core.protocol.lineage import key_of
from components.core.protocol.split_plan import ALL, PARTS, SplitPlan, patients_without_fold
from components.core.protocol.study_plan import BINARY, DIAGNOSIS, StudyPlan, check_arms, scheme_of
from components.core.records.stage_record import StageRecord
from components.core.runtime.progress import log
from components.core.telemetry.stage import instrumented
from components.split.folds import Parts, all_fold, gap, stratified_folds
from components.split.imports import imported, left_out
from components.split.patients import Patients, read_patients
from components.split.site_folds import mixed_site

VOTES = ("majority", "probability")
THRESHOLDS = ("0.5", "youden")


@instrumented
def run(
    *,
    manifest: str,
    plan: str,
    study: str,
    metrics: str,
    folds: int = 5,
    val_fraction: float = 0.2,
    seed: int = 0,
    import_splits: str = "",
    preserve_sites: bool = False,
    arms: Sequence[str] = ("none", "stain-aug", "bi100", "bi100-real"),
    classifier_seeds: int = 3,
    vote: str = "majority",
    threshold: str = "0.5",
    relevant_difference: float = 0.1,
    external_sites: Sequence[str] = (),
    tile_level: Sequence[str] = (),
    demonstration: bool = False,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Splits patients into stratified folds and states the study: arms, seeds, vote, threshold, relevant difference.

    Args:
        manifest: Manifest (CSV) of the study's own tiles; tiles without a patient take no part.
        plan: SplitPlan (JSON) to write.
        study: StudyPlan (JSON) to write.
        metrics: JSON file for the stage's record.
        folds: Cross-validation folds, 2 or more; where folds are imported, theirs.
        val_fraction: Share of a fold's patients outside its test part that is its inner validation, above 0, up to 0.5.
        seed: Of the folds.
        import_splits: Split file, or folder with `*split*.json`: Thy-GAN's lists of patients (folds) or of files (the
            fold "all"); '' = made here. What the lists leave open is made here, too.
        preserve_sites: Test every site of the study's own in one fold only, which then trains and validates on none of
            its patients; each class must be at as many sites as there are folds. Imported folds are held to it.
        arms: What is compared; `none` is the baseline. Known: none, stain-aug, stain-norm, bi100, bi200, mc, mc100, and
            the controls bi100-real, bi200-real, mc-real, mc100-real.
        classifier_seeds: Classifiers per arm and fold, 1 or more.
        vote: How tiles make a case's class: "majority" or "probability".
        threshold: "0.5", or "youden" on each fold's own validation tiles.
        relevant_difference: Smallest AUROC difference that would matter, above 0, up to 1.
        external_sites: Sites that may be evaluated; none = any but the study's own.
        tile_level: External sites without patients: no vote, no test, no verdict.
        demonstration: True for demo data: every page says that it is no evidence.

    Returns:
        What is trained, as items {"scheme", "fold", "arms"}: of the fold "all", and of the cross-validation folds.

    Raises:
        ConfigError: An option that cannot be meant, or too few patients for the folds.
        DataError: A manifest or split file that cannot be used, or a part that lacks a class.
        LeakageError: A patient in two parts of an imported fold.
    """
    compared = check_arms(list(arms))
    _check_options(val_fraction, classifier_seeds, vote, threshold, relevant_difference)
    with StageRecord(metrics, "split", seed=seed) as record:
        table = read_manifest(manifest)
        people = read_patients(table)
        _check_sites(set(people.table["site"]), external_sites, tile_level)
        diagnoses = any(item["scheme"] == DIAGNOSIS for item in items(compared, [ALL]))

        made, origin, notes = _folds(people, import_splits, folds, val_fraction, seed, diagnoses, preserve_sites)
        notes += [*left_out(made, people), *_without_patient(table)]
        split_plan = SplitPlan(key_of(people.strata), made, origin, tuple(notes)).check()
        _refuse_unplanned(split_plan, people, import_splits)
        study_plan = StudyPlan(
            arms=compared,
            seeds=list(range(classifier_seeds)),
            vote=vote,
            threshold=threshold,
            relevant_difference=relevant_difference,
            class_map=class_map(people.table),
            external_sites=list(external_sites),
            tile_level_sites=list(tile_level),
            demonstration=demonstration,
            marks=_marks(people.table),
        )
        record["patients"] = len(people.strata)
        record["cases"] = people.table["case"].nunique()
        record["folds"] = len(split_plan.test_folds)
        record["origin"] = split_plan.origin
        record.table("folds", [_row(people, made[fold][part], fold, part) for fold in made for part in PARTS])
        record.table("notes", notes)
        for note in notes:
            log(f"note: {note}")
        split_plan.write(plan)
        study_plan.write(study)
    return items(compared, [ALL]), items(compared, split_plan.test_folds)


def items(arms: Sequence[str], folds: Sequence[str]) -> list[dict[str, Any]]:
    """What is trained together: arms that share a generator's label scheme, fold by fold.

    Arms without a generator go with the binary scheme, or with the diagnosis scheme where no arm needs a binary
    generator, so that none is trained for nothing.
    """
    own = {arm: scheme_of(arm) for arm in arms}
    home = BINARY if BINARY in own.values() else DIAGNOSIS
    schemes = {scheme: [arm for arm in arms if (own[arm] or home) == scheme] for scheme in (BINARY, DIAGNOSIS)}
    return [
        {"scheme": scheme, "fold": fold, "arms": members}
        for scheme, members in schemes.items()
        for fold in folds
        if members
    ]


def _folds(
    people: Patients,
    import_splits: str,
    folds: int,
    val_fraction: float,
    seed: int,
    diagnoses: bool,
    preserve_sites: bool,
) -> tuple[dict[str, Parts], str, list[str]]:
    """Every fold, imported or made; where they come from; and notes on what was imported."""
    made, notes = imported(import_splits, people) if import_splits else ({}, [])
    origin = [f"imported from {Path(import_splits).name}: {', '.join(made)}"] if made else []
    if lacking := gap(people, made, diagnoses):
        fold, part, what = lacking
        raise DataError(
            f"Fold {fold} of {import_splits} has no patient of {what} in its {part} list: correct the list."
        )
    if preserve_sites and (mixed := mixed_site(people, made)):
        raise ConfigError(
            f"Fold {mixed[0]} of {import_splits} tests on site {mixed[1]!r} and learns from it: leave out "
            "--preserve-sites, or import lists that keep sites whole."
        )
    if not set(made) - {ALL}:
        made = {**stratified_folds(people, folds, val_fraction, seed, diagnoses, preserve_sites), **made}
        units = "whole sites" if preserve_sites else "patients"
        origin.append(f"stratified {folds}-fold over {units}, seed {seed}")
    if ALL not in made:
        made |= all_fold(people, val_fraction, seed, diagnoses)
        origin.append(f"fold all: {val_fraction:g} of the patients validate, seed {seed}")
    return made, "; ".join(origin), notes


def _refuse_unplanned(plan: SplitPlan, people: Patients, import_splits: str) -> None:
    strangers = patients_without_fold(plan, people.strata)
    if strangers:
        named = sorted(set(people.table.loc[people.table["identity"].isin(strangers), "case"]))
        raise DataError(
            f"{len(strangers)} patient(s) are in no list of {import_splits} at all, cases {', '.join(named[:5])}: name "
            "them in a list, or take their images out of the source."
        )


def _row(people: Patients, patients: Sequence[str], fold: str, part: str) -> dict[str, Any]:
    rows = people.table[people.table["identity"].isin(patients)]
    of_class = {f"class{label}": len(people.of_class[f"class {label}"] & set(patients)) for label in (0, 1)}
    counts = {"patients": len(patients), "cases": rows["case"].nunique(), "tiles": len(rows)}
    return {"fold": fold, "part": part, **counts, **of_class}


def _without_patient(table: pd.DataFrame) -> list[str]:
    counts = table.loc[table["identity"] == "", "site"].value_counts().sort_index()
    return [f"{count} tiles of {site} have no patient and take no part." for site, count in counts.items()]


def _marks(table: pd.DataFrame) -> list[str]:
    marks = []
    for site, rows in table.groupby("site", sort=True):
        if rows["mpp"].isna().any():
            marks.append(f"The um/px of {site} is unknown.")
        elif rows["mpp"].nunique() > 1:
            marks.append(f"Some images of {site} were enlarged to the size of a tile: their um/px differ.")
    return marks


def _check_options(val_fraction: float, classifier_seeds: int, vote: str, threshold: str, difference: float) -> None:
    if not 0 < val_fraction <= 0.5:
        raise ConfigError(f"--val-fraction {val_fraction:g} is not above 0 and up to 0.5.")
    if classifier_seeds < 1:
        raise ConfigError(f"--classifier-seeds {classifier_seeds} is too few: train at least 1 classifier per arm.")
    if vote not in VOTES:
        raise ConfigError(f"--vote {vote!r} is not known: say {' or '.join(VOTES)}.")
    if threshold not in THRESHOLDS:
        raise ConfigError(f"--threshold {threshold!r} is not known: say {' or '.join(THRESHOLDS)}.")
    if not 0 < difference <= 1:
        raise ConfigError(f"--relevant-difference {difference:g} is no AUROC difference: give one above 0, up to 1.")


def _check_sites(own: set[str], external_sites: Sequence[str], tile_level: Sequence[str]) -> None:
    for site in [*external_sites, *tile_level]:
        if site in own:
            raise ConfigError(f"Site {site!r} is the study's own: external sites are those that nothing is trained on.")
    foreign = sorted(set(tile_level) - set(external_sites))
    if external_sites and foreign:
        raise ConfigError(f"--tile-level names {foreign[0]!r}, which --external-sites does not: name it in both.")
