"""Stratified folds over patients.

A patient may have several diagnoses, so strata overlap and a plain stratified k-fold does not apply. This is the
iterative stratification of Sechidis, Tsoumakas and Vlahavas (2011): the rarest stratum first, each patient to the part
that lacks most of it. Few patients leave little room, so a draw that leaves a class out of a part is repeated.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from components.core.errors import ConfigError, DataError
from components.core.protocol.split_plan import ALL
from components.split.patients import Patients
from components.split.site_folds import assign_sites

FoldParts = dict[str, list[str]]  # train, val, test -> identities

MAX_DRAWS = 200
_REMEDIES = {
    "train": "fewer --folds, a smaller --val-fraction",
    "val": "a larger --val-fraction",
    "test": "fewer --folds",
}


def draw_stratified_folds(
    cohort: Patients, folds: int, val_fraction: float, seed: int, diagnoses: bool, whole_sites: bool = False
) -> dict[str, FoldParts]:
    """Folds "0", "1", …: each patient is tested once, a share of a fold's others validates, the rest trains.

    Args:
        cohort: Patients of the manifest.
        folds: Number of folds, at least 2.
        val_fraction: Share of a fold's patients outside its test part that validates, above 0, up to 0.5.
        seed: Seed of every draw.
        diagnoses: True where every diagnosis must be trained on, not only every class.
        whole_sites: True where patients of one site are tested in one fold; validation stays a share of the patients.

    Raises:
        ConfigError: More folds than patients of a class, or than sites that have it.
        DataError: No draw has every class in every part.
    """
    count, rarest = min((len(of_class), stratum) for stratum, of_class in cohort.of_class.items())
    if count < folds:
        raise ConfigError(
            f"{rarest.capitalize()} has {count} patient(s), too few for {folds} folds that test one each: use at "
            f"most --folds {count}, or more patients."
        )

    def draw(rng: np.random.Generator) -> dict[str, FoldParts]:
        if whole_sites:
            tested = assign_sites(cohort, folds, rng)
        else:
            tested = _stratify(cohort.strata, {str(fold): 1 / folds for fold in range(folds)}, rng)
        return {
            fold: {**inner_split(cohort, set(cohort.strata) - set(test), val_fraction, rng), "test": test}
            for fold, test in tested.items()
        }

    return _draw_until_complete(cohort, draw, seed, diagnoses)


def all_fold(cohort: Patients, val_fraction: float, seed: int, diagnoses: bool) -> dict[str, FoldParts]:
    """The fold "all": every patient, less an inner validation; nobody is tested."""

    def draw(rng: np.random.Generator) -> dict[str, FoldParts]:
        return {ALL: {**inner_split(cohort, set(cohort.strata), val_fraction, rng), "test": []}}

    return _draw_until_complete(cohort, draw, seed, diagnoses)


def inner_split(cohort: Patients, identities: set[str], val_fraction: float, rng: np.random.Generator) -> FoldParts:
    """Training and validation patients; validation has a patient of each class that has at least two."""
    strata = {identity: cohort.strata[identity] for identity in identities}
    parts = _stratify(strata, {"train": 1 - val_fraction, "val": val_fraction}, rng)
    for of_class in sorted(cohort.of_class.values(), key=len):
        movable = sorted(of_class & set(parts["train"]))
        if len(movable) > 1 and not of_class & set(parts["val"]):
            moved = movable[rng.integers(len(movable))]
            parts = {"train": [one for one in parts["train"] if one != moved], "val": sorted([*parts["val"], moved])}
    return parts


def first_missing_stratum(
    cohort: Patients, folds: Mapping[str, FoldParts], diagnoses: bool
) -> tuple[str, str, str] | None:
    """The first (fold, part, stratum) that is missing: a class, or in training a diagnosis; None = nothing is."""
    for fold, parts in folds.items():
        for part in ("train", "val") if fold == ALL else ("train", "val", "test"):
            required = set(cohort.strata_names if diagnoses and part == "train" else cohort.of_class)
            missing = required - {stratum for identity in parts[part] for stratum in cohort.strata[identity]}
            if missing:
                return fold, part, min(missing)
    return None


def _draw_until_complete(
    cohort: Patients, draw: Callable[[np.random.Generator], dict[str, FoldParts]], seed: int, diagnoses: bool
) -> dict[str, FoldParts]:
    """The first of MAX_DRAWS draws in which no part lacks a stratum that it needs."""
    for attempt in range(MAX_DRAWS):
        folds = draw(np.random.default_rng([seed, attempt]))
        missing = first_missing_stratum(cohort, folds, diagnoses)
        if missing is None:
            return folds
    assert missing is not None
    fold, part, stratum = missing
    remedy = _REMEDIES[part] if stratum in cohort.of_class else f"{_REMEDIES[part]}, only arms of the binary generator"
    raise DataError(f"Fold {fold} has no patient of {stratum} in its {part} part: use {remedy}, or more such patients.")


def _stratify(
    strata: Mapping[str, frozenset[str]], shares: Mapping[str, float], rng: np.random.Generator
) -> dict[str, list[str]]:
    """Patients spread over parts in the given shares, every stratum for itself as well; each part sorted."""
    sizes = Counter(stratum for of_patient in strata.values() for stratum in of_patient)
    lacks = {part: {stratum: share * size for stratum, size in sizes.items()} for part, share in shares.items()}
    room = {part: share * len(strata) for part, share in shares.items()}
    parts: dict[str, list[str]] = {part: [] for part in shares}
    remaining = sorted(strata)
    while remaining:
        waiting = Counter(stratum for identity in remaining for stratum in strata[identity])
        rarest = min(waiting, key=lambda stratum: (waiting[stratum], stratum))
        for identity in rng.permutation([one for one in remaining if rarest in strata[one]]).tolist():
            order = rng.permutation(list(shares)).tolist()
            of_patient = sorted(strata[identity])
            part = max(order, key=lambda part: _priority(lacks[part], room[part], rarest, of_patient))
            parts[part].append(identity)
            room[part] -= 1
            for stratum in of_patient:
                lacks[part][stratum] -= 1
            remaining.remove(identity)
    return {part: sorted(identities) for part, identities in parts.items()}


def _priority(lacks: Mapping[str, float], room: float, rarest: str, strata: Sequence[str]) -> tuple[float, ...]:
    """How much a part needs a patient; rounded, so that sums of the same shares tie."""
    return round(lacks[rarest], 9), round(sum(lacks[stratum] for stratum in strata), 9), round(room, 9)
