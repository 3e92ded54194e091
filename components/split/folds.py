"""Stratified folds over patients.

A patient may have several diagnoses, so strata overlap and a plain stratified k-fold does not apply. This is the
iterative stratification of Sechidis, Tsoumakas and Vlahavas (2011): the rarest stratum first, each patient to the part
that lacks most of it. Few patients leave little room, so a draw that leaves a class out of a part is drawn again.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from components.core.errors import ConfigError, DataError
from components.core.protocol.split_plan import ALL
from components.split.patients import Patients
from components.split.site_folds import dealt_sites

Parts = dict[str, list[str]]

DRAWS = 200
_WAY_OUT = {
    "train": "fewer --folds, a smaller --val-fraction",
    "val": "a larger --val-fraction",
    "test": "fewer --folds",
}


def stratified_folds(
    people: Patients, folds: int, val_fraction: float, seed: int, diagnoses: bool, whole_sites: bool = False
) -> dict[str, Parts]:
    """Folds "0", "1", …: each patient is tested once, a share of a fold's others validates, the rest trains.

    Args:
        people: Of the manifest.
        folds: How many, at least 2.
        val_fraction: Share of a fold's patients outside its test part that validates.
        seed: Of every draw.
        diagnoses: True where every diagnosis must be trained on, not only every class.
        whole_sites: True where patients of one site are tested in one fold; validation stays a share of the patients.

    Raises:
        ConfigError: More folds than patients of a class, or than sites that have it.
        DataError: No draw has every class in every part.
    """
    if folds < 2:
        raise ConfigError(f"--folds {folds} is too few: cross-validation needs at least 2.")
    patients, rarest = min((len(of_class), stratum) for stratum, of_class in people.of_class.items())
    if patients < folds:
        raise ConfigError(
            f"{rarest.capitalize()} has {patients} patient(s), too few for {folds} folds that test one each: use at "
            f"most --folds {patients}, or more patients."
        )

    def draw(rng: np.random.Generator) -> dict[str, Parts]:
        if whole_sites:
            tested = dealt_sites(people, folds, rng)
        else:
            tested = _spread(people.strata, {str(fold): 1 / folds for fold in range(folds)}, rng)
        return {
            fold: {**inner_split(people, set(people.strata) - set(test), val_fraction, rng), "test": test}
            for fold, test in tested.items()
        }

    return _drawn(people, draw, seed, diagnoses)


def all_fold(people: Patients, val_fraction: float, seed: int, diagnoses: bool) -> dict[str, Parts]:
    """The fold "all": every patient, less an inner validation; nobody is tested."""

    def draw(rng: np.random.Generator) -> dict[str, Parts]:
        return {ALL: {**inner_split(people, set(people.strata), val_fraction, rng), "test": []}}

    return _drawn(people, draw, seed, diagnoses)


def inner_split(people: Patients, patients: set[str], val_fraction: float, rng: np.random.Generator) -> Parts:
    """Training and validation patients; validation has one of each class where there are two to share."""
    strata = {one: people.strata[one] for one in patients}
    parts = _spread(strata, {"train": 1 - val_fraction, "val": val_fraction}, rng)
    for of_class in sorted(people.of_class.values(), key=len):
        able = sorted(of_class & set(parts["train"]))
        if len(able) > 1 and not of_class & set(parts["val"]):
            moved = able[rng.integers(len(able))]
            parts = {"train": [one for one in parts["train"] if one != moved], "val": sorted([*parts["val"], moved])}
    return parts


def gap(people: Patients, folds: Mapping[str, Parts], diagnoses: bool) -> tuple[str, str, str] | None:
    """The first (fold, part, what it lacks): a class, or in training a diagnosis; None = nothing lacks."""
    for fold, parts in folds.items():
        for part in ("train", "val") if fold == ALL else ("train", "val", "test"):
            needed = set(people.strata_names if diagnoses and part == "train" else people.of_class)
            lacking = needed - {stratum for one in parts[part] for stratum in people.strata[one]}
            if lacking:
                return fold, part, min(lacking)
    return None


def _drawn(
    people: Patients, draw: Callable[[np.random.Generator], dict[str, Parts]], seed: int, diagnoses: bool
) -> dict[str, Parts]:
    for attempt in range(DRAWS):
        folds = draw(np.random.default_rng([seed, attempt]))
        lacking = gap(people, folds, diagnoses)
        if lacking is None:
            return folds
    assert lacking is not None
    fold, part, what = lacking
    way = _WAY_OUT[part] if what in people.of_class else f"{_WAY_OUT[part]}, only arms of the binary generator"
    raise DataError(f"Fold {fold} has no patient of {what} in its {part} part: use {way}, or more such patients.")


def _spread(
    strata: Mapping[str, frozenset[str]], shares: Mapping[str, float], rng: np.random.Generator
) -> dict[str, list[str]]:
    """Patients dealt to parts in the given shares, every stratum for itself as well; each part sorted."""
    sizes = Counter(stratum for own in strata.values() for stratum in own)
    lacks = {part: {stratum: share * size for stratum, size in sizes.items()} for part, share in shares.items()}
    room = {part: share * len(strata) for part, share in shares.items()}
    dealt: dict[str, list[str]] = {part: [] for part in shares}
    left = sorted(strata)
    while left:
        waiting = Counter(stratum for one in left for stratum in strata[one])
        rarest = min(waiting, key=lambda stratum: (waiting[stratum], stratum))
        for one in rng.permutation([one for one in left if rarest in strata[one]]).tolist():
            order = rng.permutation(list(shares)).tolist()
            part = max(order, key=lambda part: _need(lacks[part], room[part], rarest, sorted(strata[one])))
            dealt[part].append(one)
            room[part] -= 1
            for stratum in strata[one]:
                lacks[part][stratum] -= 1
            left.remove(one)
    return {part: sorted(patients) for part, patients in dealt.items()}


def _need(lacks: Mapping[str, float], room: float, rarest: str, own: Sequence[str]) -> tuple[float, ...]:
    # rounded, so that sums of the same shares tie
    return round(lacks[rarest], 9), round(sum(lacks[stratum] for stratum in own), 9), round(room, 9)
