"""Decides, before anything is trained, who trains, validates and tests in each fold, and what is compared with what."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from components.core.data.manifest import class_map, read_manifest
from components.core.errors import ConfigError, DataError
from components.core.options.shared import SharedOptions
from components.core.protocol.lineage import key_of
from components.core.protocol.split_plan import ALL, PARTS, SplitPlan, patients_without_fold
from components.core.protocol.study_plan import BINARY, DIAGNOSIS, StudyPlan, check_arms, scheme_of
from components.core.records.split import PartRow, SplitRecord
from components.core.records.stage_record import StageRecord
from components.core.runtime.progress import log
from components.core.telemetry.stage import instrumented
from components.split.folds import FoldParts, all_fold, draw_stratified_folds, first_missing_stratum
from components.split.imports import import_folds, omission_notes
from components.split.options import SplitOptions
from components.split.patients import Patients, read_patients
from components.split.site_folds import first_leaking_site


@instrumented
def run(
    *,
    manifest: str,
    plan: str,
    study: str,
    split_record: str,
    seed: int = 0,
    external_sites: Sequence[str] = (),
    options: SplitOptions = SplitOptions(),
    shared: SharedOptions = SharedOptions(),
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Splits patients into stratified folds and states the study: arms, seeds, vote, threshold, relevant difference.

    Args:
        manifest: Manifest (CSV) of the study's own tiles; tiles without a patient take no part.
        plan: SplitPlan (JSON) to write.
        study: StudyPlan (JSON) to write.
        split_record: Record (JSON) to write.
        seed: Seed of the folds.
        external_sites: Sites that may be evaluated; none = any but the study's own.
        options: Options of the stage.
        shared: Options that several stages share; `tile_level` is read.

    Returns:
        The work items {"scheme", "fold", "arms"}: of the fold "all", and of the cross-validation folds.

    Raises:
        ConfigError: Options that contradict each other, or too few patients for the folds.
        DataError: A manifest or split file that cannot be used, or a part that lacks a class.
        LeakageError: A patient in two parts of an imported fold.
    """
    arms = check_arms(list(options.arms))
    with StageRecord(split_record, "split", seed=seed) as record:
        table = read_manifest(manifest)
        cohort = read_patients(table)
        _check_sites(set(cohort.table["site"]), external_sites, shared.tile_level)
        diagnoses = any(item["scheme"] == DIAGNOSIS for item in work_items(arms, [ALL]))

        folds, origin, notes = _read_or_draw_folds(cohort, options, seed, diagnoses)
        notes += [*omission_notes(folds, cohort), *_anonymous_notes(table)]
        split_plan = SplitPlan(key_of(cohort.strata), folds, origin, tuple(notes)).check()
        _check_coverage(split_plan, cohort, options.import_splits)
        study_plan = StudyPlan(
            arms=arms,
            seeds=list(range(options.classifier_seeds)),
            vote=options.vote,
            threshold=options.threshold,
            relevant_difference=options.relevant_difference,
            class_map=class_map(cohort.table),
            external_sites=list(external_sites),
            tile_level_sites=list(shared.tile_level),
            demonstration=options.demonstration,
            marks=_marks(cohort.table),
        )
        record.set(
            SplitRecord(
                seed=seed,
                patients=len(cohort.strata),
                cases=cohort.table["case"].nunique(),
                origin=split_plan.origin,
                folds=[_part_row(cohort, folds[fold][part], fold, part) for fold in folds for part in PARTS],
                notes=notes,
            )
        )
        record["folds"] = len(split_plan.test_folds)  # their number, for KFP's page
        for note in notes:
            log(f"note: {note}")
        split_plan.write(plan)
        study_plan.write(study)
    return work_items(arms, [ALL]), work_items(arms, split_plan.test_folds)


def work_items(arms: Sequence[str], folds: Sequence[str]) -> list[dict[str, Any]]:
    """What is trained together: arms that share a generator's label scheme, fold by fold.

    Arms without a generator go with the binary scheme, or with the diagnosis scheme where no arm needs a binary
    generator, so that no generator is trained for them alone.
    """
    needed = {arm: scheme_of(arm) for arm in arms}
    default = BINARY if BINARY in needed.values() else DIAGNOSIS
    schemes = {scheme: [arm for arm in arms if (needed[arm] or default) == scheme] for scheme in (BINARY, DIAGNOSIS)}
    return [
        {"scheme": scheme, "fold": fold, "arms": members}
        for scheme, members in schemes.items()
        for fold in folds
        if members
    ]


def _read_or_draw_folds(
    cohort: Patients, options: SplitOptions, seed: int, diagnoses: bool
) -> tuple[dict[str, FoldParts], str, list[str]]:
    """Every fold, imported or drawn; their origin in words; and notes on the import."""
    source = options.import_splits
    folds, notes = import_folds(source, cohort) if source else ({}, [])
    origin = [f"imported from {Path(source).name}: {', '.join(folds)}"] if folds else []
    if missing := first_missing_stratum(cohort, folds, diagnoses):
        fold, part, stratum = missing
        raise DataError(f"Fold {fold} of {source} has no patient of {stratum} in its {part} list: correct the list.")
    if options.preserve_sites and (leaking := first_leaking_site(cohort, folds)):
        raise ConfigError(
            f"Fold {leaking[0]} of {source} tests on site {leaking[1]!r} and learns from it: leave out "
            "--preserve-sites, or import lists that keep sites whole."
        )
    if not set(folds) - {ALL}:
        drawn = draw_stratified_folds(
            cohort, options.folds, options.val_fraction, seed, diagnoses, whole_sites=options.preserve_sites
        )
        folds = {**drawn, **folds}
        units = "whole sites" if options.preserve_sites else "patients"
        origin.append(f"stratified {options.folds}-fold over {units}, seed {seed}")
    if ALL not in folds:
        folds |= all_fold(cohort, options.val_fraction, seed, diagnoses)
        origin.append(f"fold all: {options.val_fraction:g} of the patients validate, seed {seed}")
    return folds, "; ".join(origin), notes


def _check_coverage(plan: SplitPlan, cohort: Patients, import_splits: str) -> None:
    """Refuses patients that no fold has: what becomes of their tiles would be undefined."""
    unplanned = patients_without_fold(plan, cohort.strata)
    if unplanned:
        cases = sorted(set(cohort.table.loc[cohort.table["identity"].isin(unplanned), "case"]))
        raise DataError(
            f"{len(unplanned)} patient(s) are in no list of {import_splits} at all, cases {', '.join(cases[:5])}: name "
            "them in a list, or take their images out of the source."
        )


def _part_row(cohort: Patients, identities: Sequence[str], fold: str, part: str) -> PartRow:
    rows = cohort.table[cohort.table["identity"].isin(identities)]
    class0, class1 = (len(cohort.of_class[f"class {label}"] & set(identities)) for label in (0, 1))
    return PartRow(fold, part, len(identities), rows["case"].nunique(), len(rows), class0, class1)


def _anonymous_notes(table: pd.DataFrame) -> list[str]:
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


def _check_sites(study_sites: set[str], external_sites: Sequence[str], tile_level: Sequence[str]) -> None:
    for site in [*external_sites, *tile_level]:
        if site in study_sites:
            raise ConfigError(f"Site {site!r} is the study's own: external sites are those that nothing is trained on.")
    undeclared = sorted(set(tile_level) - set(external_sites))
    if external_sites and undeclared:
        raise ConfigError(f"--tile-level names {undeclared[0]!r}, which --external-sites does not: name it in both.")
