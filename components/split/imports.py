"""Split files of others: Thy-GAN's, in both forms.

cv0_split.json    {"train": [12, …], "val": [7, …], "test": [3, …]}     case numbers, else patient numbers: fold "0"
data_split_0.json {"train": ["12a.jpeg", …], "val": ["7a.jpeg", …]}     file names; without "test": the fold "all"
"""

import re
from collections.abc import Mapping
from pathlib import Path

from components.core.errors import DataError, LeakageError
from components.core.io.atomic_files import read_json
from components.core.protocol.split_plan import ALL, PARTS
from components.split.folds import Parts
from components.split.patients import Patients

_IMAGE = re.compile(r"\.(jpe?g|png|tiff?)$", re.IGNORECASE)


def imported(path: str, people: Patients) -> tuple[dict[str, Parts], list[str]]:
    """Folds of a split file, or of a folder's `*split*.json` files, and what a reader must know of them.

    Raises:
        DataError: There is no such file, one is no split, or two are of the same fold.
        LeakageError: A patient in two parts of a fold.
    """
    top = Path(path)
    files = sorted(top.rglob("*split*.json")) if top.is_dir() else [top]
    if not files or not files[0].is_file():
        raise DataError(f"{path} has no split file (*split*.json): name a folder that has, or leave it out.")
    sources: dict[str, Path] = {}
    folds: dict[str, Parts] = {}
    notes: list[str] = []
    for file in files:
        lists = _lists(file)
        by_name = any(_IMAGE.search(one) for ones in lists.values() for one in ones)
        fold = ALL if by_name and not lists["test"] else _fold(file)
        if fold in sources:
            raise DataError(f"{sources[fold]} and {file} are both of fold {fold}: keep one of them, or name a file.")
        sources[fold] = file
        folds[fold], unknown = _parts(file, lists, people, ("source",) if by_name else ("case", "patient"))
        if unknown:
            notes.append(f"{file.name} names {unknown} {'files' if by_name else 'numbers'} that have no tile here.")
    return dict(sorted(folds.items(), key=lambda item: (item[0] == ALL, len(item[0]), item[0]))), notes


def left_out(folds: Mapping[str, Parts], people: Patients) -> list[str]:
    """Sentences about patients that lists do not name."""
    everyone = set(people.strata)
    notes = []
    for fold, parts in folds.items():
        absent = everyone - {one for ones in parts.values() for one in ones}
        if absent:
            notes.append(f"Fold {fold}: {len(absent)} of {len(everyone)} patients are in no list.")
    tests = {fold: parts for fold, parts in folds.items() if fold != ALL}
    if tests:
        learnt = {one for parts in tests.values() for part in ("train", "val") for one in parts[part]}
        tested = {one for parts in tests.values() for one in parts["test"]}
        if never := everyone - learnt:
            notes.append(
                f"{len(never)} patients are in no training or validation list of any cross-validation fold "
                f"({len(never & tested)} of them are tested)."
            )
        if untested := everyone - tested:
            notes.append(f"{len(untested)} patients are never tested in cross-validation.")
    return notes


def _lists(file: Path) -> dict[str, list[str]]:
    value = read_json(file)
    stated = {part: value.get(part, []) for part in PARTS} if isinstance(value, dict) else {}
    entries = [one for ones in stated.values() for one in (ones if isinstance(ones, list) else [None])]
    whole = all(isinstance(one, int | str) and not isinstance(one, bool) for one in entries)
    if not whole or not stated.get("train") or not stated.get("val"):
        raise DataError(f'{file} is no split, {{"train": […], "val": […], "test": […]}}: correct or remove it.')
    return {part: [str(one) for one in ones] for part, ones in stated.items()}


def _fold(file: Path) -> str:
    number = re.search(r"\d+", file.stem)
    if not number:
        raise DataError(f"{file} has no fold number in its name: call it for example cv0_split.json.")
    return str(int(number[0]))


def _parts(file: Path, lists: dict[str, list[str]], people: Patients, columns: tuple[str, ...]) -> tuple[Parts, int]:
    """A file's parts as identities, and how many of its entries have no tile."""
    named = [people.named(column) for column in columns]
    placed: dict[str, tuple[str, str]] = {}
    unknown = 0
    for part, entries in lists.items():
        for entry in entries:
            who = next((column[entry] for column in named if entry in column), set())
            unknown += not who
            for one in who:
                other_part, other = placed.setdefault(one, (part, entry))
                if other_part != part:
                    raise LeakageError(
                        f"{file} has {other} in {other_part} and {entry} in {part}, and both are of one patient "
                        f"({one}): put all of a patient into one part."
                    )
    if not placed:
        raise DataError(f"{file} names nobody of this manifest: its entries fit no {' and no '.join(columns)}.")
    return {part: sorted(one for one, (own, _) in placed.items() if own == part) for part in PARTS}, unknown
