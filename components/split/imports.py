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
from components.split.folds import FoldParts
from components.split.patients import Patients

_IMAGE = re.compile(r"\.(jpe?g|png|tiff?)$", re.IGNORECASE)


def import_folds(path: str, cohort: Patients) -> tuple[dict[str, FoldParts], list[str]]:
    """Folds of a split file, or of a folder's `*split*.json` files, and notes for the reader.

    Raises:
        DataError: A file is missing or is not a split, or two files are of the same fold.
        LeakageError: A patient is in two parts of a fold.
    """
    top = Path(path)
    files = sorted(top.rglob("*split*.json")) if top.is_dir() else [top]
    if not files or not files[0].is_file():
        raise DataError(f"{path} has no split file (*split*.json): name a folder that has one, or leave it out.")
    sources: dict[str, Path] = {}
    folds: dict[str, FoldParts] = {}
    notes: list[str] = []
    for file in files:
        lists = _read_lists(file)
        by_name = any(_IMAGE.search(entry) for entries in lists.values() for entry in entries)
        fold = ALL if by_name and not lists["test"] else _fold_number(file)
        if fold in sources:
            raise DataError(f"{sources[fold]} and {file} both belong to fold {fold}: keep one of them, or name a file.")
        sources[fold] = file
        folds[fold], unknown = _match_entries(file, lists, cohort, ("source",) if by_name else ("case", "patient"))
        if unknown:
            notes.append(f"{file.name} names {unknown} {'files' if by_name else 'numbers'} that have no tile here.")
    return dict(sorted(folds.items(), key=lambda item: (item[0] == ALL, len(item[0]), item[0]))), notes


def omission_notes(folds: Mapping[str, FoldParts], cohort: Patients) -> list[str]:
    """Sentences about patients that lists do not name."""
    everyone = set(cohort.strata)
    notes = []
    for fold, parts in folds.items():
        absent = everyone - {identity for identities in parts.values() for identity in identities}
        if absent:
            notes.append(f"Fold {fold}: {len(absent)} of {len(everyone)} patients are in no list.")
    tests = {fold: parts for fold, parts in folds.items() if fold != ALL}
    if tests:
        learnt = {identity for parts in tests.values() for part in ("train", "val") for identity in parts[part]}
        tested = {identity for parts in tests.values() for identity in parts["test"]}
        if never := everyone - learnt:
            notes.append(
                f"{len(never)} patients are in no training or validation list of any cross-validation fold "
                f"({len(never & tested)} of them are tested)."
            )
        if untested := everyone - tested:
            notes.append(f"{len(untested)} patients are never tested in cross-validation.")
    return notes


def _read_lists(file: Path) -> dict[str, list[str]]:
    value = read_json(file)
    lists = {part: value.get(part, []) for part in PARTS} if isinstance(value, dict) else {}
    entries = [entry for listed in lists.values() for entry in (listed if isinstance(listed, list) else [None])]
    usable = all(isinstance(entry, int | str) and not isinstance(entry, bool) for entry in entries)
    if not usable or not lists.get("train") or not lists.get("val"):
        raise DataError(
            f'{file} is not a split, {{"train": […], "val": […], "test": […]}}: correct the file or remove it.'
        )
    return {part: [str(entry) for entry in listed] for part, listed in lists.items()}


def _fold_number(file: Path) -> str:
    number = re.search(r"\d+", file.stem)
    if not number:
        raise DataError(f"{file} has no fold number in its name: call it for example cv0_split.json.")
    return str(int(number[0]))


def _match_entries(
    file: Path, lists: dict[str, list[str]], cohort: Patients, columns: tuple[str, ...]
) -> tuple[FoldParts, int]:
    """A file's parts as identities, and how many of its entries have no tile."""
    tables = [cohort.identities_by(column) for column in columns]
    part_of: dict[str, tuple[str, str]] = {}  # identity -> part, and the entry that says so
    unknown = 0
    for part, entries in lists.items():
        for entry in entries:
            identities = next((table[entry] for table in tables if entry in table), set())
            unknown += not identities
            for identity in identities:
                other_part, other = part_of.setdefault(identity, (part, entry))
                if other_part != part:
                    raise LeakageError(
                        f"{file} has {other} in {other_part} and {entry} in {part}, and both belong to one patient "
                        f"({identity}): put all entries of a patient into one part."
                    )
    if not part_of:
        raise DataError(
            f"{file} lists no patient of this manifest: none of its entries is a {' or a '.join(columns)} there."
        )
    return {part: sorted(identity for identity, (of, _) in part_of.items() if of == part) for part in PARTS}, unknown
