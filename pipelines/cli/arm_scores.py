"""Arms of prediction files: patient-level metrics of each, and its paired comparison with the baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from components.core.errors import ConfigError, DataError
from components.core.statistics.breakdown import by_diagnosis, by_site
from components.core.statistics.intervals import metric_intervals, wilson_interval
from components.core.statistics.metrics import constant_predictors, patient_metrics
from components.core.statistics.patients import label_conflicts, patient_level, patient_predictions, ties
from components.core.statistics.power import detectable_auroc
from components.core.statistics.predictions import read_predictions
from components.core.statistics.verdict import compare_arms
from components.report.verdict_text import reason_text

BASELINE = "none"
_PROPORTIONS = {"accuracy": (0, 1), "sensitivity": (1,), "specificity": (0,)}  # metric -> classes that it counts


@dataclass(frozen=True)
class Arm:
    """One arm's predictions.

    Attributes:
        file: File or NAME of the argument, or the arm's name in a file with several.
        short: Name in sentences: the part of the path that differs from the other arms' paths.
        sources: Files of its predictions.
        rows: Predictions at sites that have patients.
        tile_level: Sites without patients; they have no vote.
    """

    file: str
    short: str
    sources: list[str]
    rows: pd.DataFrame
    tile_level: list[str]


def compare_files(
    arms: Sequence[Arm], vote: str, relevant_difference: float, resamples: int, seed: int
) -> dict[str, Any]:
    """Metrics and comparisons of arms, JSON-ready.

    Args:
        arms: The arms; the first is the baseline.
        vote: Rule from a case's tiles to its class: "majority" or "probability".
        relevant_difference: Smallest AUROC difference that would matter, 0..1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.

    Raises:
        DataError: A file without usable predictions.
    """
    cases = {}
    for arm in arms:
        try:
            cases[arm.short] = patient_predictions(arm.rows, vote)
        except DataError as error:
            raise DataError(f"{', '.join(arm.sources)}: {error}") from None
    conflicts = label_conflicts(pd.concat(cases.values(), ignore_index=True))
    files = [_describe_arm(arm, cases[arm.short], conflicts, resamples, seed) for arm in arms]
    comparisons = []
    if len(arms) > 1:
        table = pd.concat([arm.rows.assign(arm=arm.short) for arm in arms], ignore_index=True)
        compared = compare_arms(
            table,
            baseline=arms[0].short,
            vote=vote,
            relevant_difference=relevant_difference,
            resamples=resamples,
            seed=seed,
        )
        comparisons = [
            one.row() | {"reason": reason_text(one), "baseline": arms[0].file, "arm": arm.file}
            for one, arm in zip(compared, arms[1:], strict=True)
        ]
    return {"vote": vote, "files": files, "comparisons": comparisons, "label_conflicts": conflicts}


def read_arms(arguments: Sequence[str]) -> list[Arm]:
    """The arms that the arguments name, in their order.

    Raises:
        ConfigError: An argument that names no arm, or two arms of one name.
        DataError: A file without usable predictions.
    """
    named = [_parse_argument(one) for one in arguments]
    return read_named_arms(named)


def read_named_arms(named: Sequence[tuple[str, Sequence[str]]]) -> list[Arm]:
    """Arms by name.

    Args:
        named: Name and files of each; a name '' stands for the file's own, or for each arm in it.

    Raises:
        ConfigError: Two arms of one name.
        DataError: A file without usable predictions.
    """
    short = _short_names([files[0] for name, files in named if not name])
    arms = []
    for name, files in named:
        tables = [read_predictions(file) for file in files]
        in_file = [one for table in tables for one in table["arm"].unique()] if not name else []
        if len(in_file) > 1:
            arms += [
                _make_arm(one, one, files, tables[0][tables[0]["arm"] == one])
                for one in sorted(in_file, key=lambda one: one != BASELINE)
            ]
        else:
            arms.append(_make_arm(name or files[0], name or short[files[0]], files, _pool(files, tables)))
    for arm in arms:
        if sum(arm.short == other.short for other in arms) > 1:
            raise ConfigError(f"Two arms are called {arm.short!r}: distinguish them as NAME={arm.sources[0]}.")
    return arms


def _parse_argument(argument: str) -> tuple[str, list[str]]:
    """Name ('' for a plain file) and files of one argument."""
    if Path(argument).exists() or "=" not in argument:
        return "", [argument]
    name, _, rest = argument.partition("=")
    files = [one for one in rest.split(",") if one]
    if not name or not files:
        raise ConfigError(f"{argument!r} names no arm: write FILE, or NAME=FILE,FILE.")
    return name, files


def _pool(files: Sequence[str], tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Files as one arm: a fold each where they name none; no case may be in two of them with one seed."""
    parts = []
    for number, (file, table) in enumerate(zip(files, tables, strict=True)):
        if table["arm"].nunique() > 1:
            raise ConfigError(f"{file} has the arms {', '.join(table['arm'].unique())}: name it alone, without NAME=.")
        fold = table["fold"].where(table["fold"] != "", str(number) if len(files) > 1 else "")
        parts.append(table.assign(fold=fold, file=file))
    pooled = pd.concat(parts, ignore_index=True)
    sources = pooled.groupby(["site", "case", "seed"])["file"].unique()
    duplicates = sources[sources.map(len) > 1]
    if len(duplicates):
        (_, case, seed), where = duplicates.index[0], duplicates.iloc[0]
        raise DataError(
            f"Case {case!r} is in {where[0]} and in {where[1]} with seed {seed!r}: pool folds that test "
            "different cases, or distinguish seeds by a `seed` column."
        )
    return pooled.drop(columns="file")


def _make_arm(file: str, short: str, sources: Sequence[str], rows: pd.DataFrame) -> Arm:
    try:
        voted = patient_level(rows)
    except DataError as error:
        raise DataError(f"{', '.join(sources)}: {error}") from None
    sites = set(voted["site"])
    return Arm(file, short, list(sources), voted, [one for one in rows["site"].unique() if one not in sites])


def _short_names(files: Sequence[str]) -> dict[str, str]:
    """File -> its short name: the parts of its path that not all paths have in common."""
    parts = {file: Path(file).parts for file in files}
    if len(parts) < 2:
        return {file: Path(file).name for file in files}
    least = min(map(len, parts.values()))
    ahead = next((i for i in range(least) if len({one[i] for one in parts.values()}) > 1), least)
    behind = next((i for i in range(least - ahead) if len({one[-1 - i] for one in parts.values()}) > 1), least - ahead)
    return {file: "/".join(one[ahead : len(one) - behind]) or file for file, one in parts.items()}


def _describe_arm(arm: Arm, cases: pd.DataFrame, conflicts: Sequence[str], resamples: int, seed: int) -> dict[str, Any]:
    """One entry of `files`: the arm's metrics, intervals and breakdowns."""
    metrics = patient_metrics(cases)
    intervals = {
        name: [low, high] for name, (_, low, high) in metric_intervals(cases, resamples=resamples, seed=seed).items()
    }
    for name, classes in _PROPORTIONS.items():
        members = cases[cases["class"].isin(classes)]
        right = int((members["pred_class"] == members["class"]).sum())
        intervals[name] = list(wilson_interval(right, len(members))[1:])
    differing = cases[cases["case"].isin(conflicts)]
    positives = int(cases["class"].sum())
    return {
        "file": arm.file,
        "short": arm.short,
        "sources": arm.sources,
        "patients": len(cases[["site", "patient"]].drop_duplicates()),
        "cases": len(cases),
        "tiles": int(cases["tiles"].sum()),
        "seeds": int(cases["seeds"].max()),
        **metrics,
        "intervals": intervals,
        "detectable_auroc": detectable_auroc(positives, len(cases) - positives),
        "ties": ties(cases),
        "conflicting_labels": dict(zip(differing["case"], map(int, differing["class"]), strict=True)),
        "constants": constant_predictors(cases),
        "by_site": by_site(cases),
        "by_diagnosis": by_diagnosis(cases),
        "tile_level_sites": arm.tile_level,
    }
