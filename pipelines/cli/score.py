"""`thygan score`: patient-level numbers and the paired comparison of any prediction files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from cyclopts import Parameter

from components.core.errors import ConfigError, DataError
from pipelines.cli.score_text import score_text

BASELINE = "none"
_PROPORTIONS = {"accuracy": (0, 1), "sensitivity": (1,), "specificity": (0,)}  # metric -> classes that it counts


def score(
    files: Annotated[tuple[str, ...], Parameter(negative=())],
    *,
    vote: Literal["majority", "probability"] = "majority",
    relevant_difference: float = 0.1,
    resamples: int = 2000,
    seed: int = 0,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Scores prediction files by patient and compares each with the first, the baseline.

    Reads CSV with the columns patient, class, pred_class and prob_positive (the probability of class 1), or Thy-GAN's
    pred_prob (the probability of the predicted class) in its place; and where there are any tile, case, site,
    diagnosis, arm, fold, seed. A file with several arms is taken apart, `none` first.

    Args:
        files: FILE, or NAME=FILE,FILE: folds or seeds pooled as one arm. NAME and NAME-real are an arm and its control.
        vote: How tiles make a case's class: "majority" (mean of the tiles' classes, a tie is class 0) or "probability".
        relevant_difference: Smallest AUROC difference that would matter, 0..1.
        resamples: Of the patient bootstrap, 100 or more.
        seed: Of the bootstrap.
        as_json: Print JSON, fractions in 0..1.
    """
    if not 0 < relevant_difference <= 1:
        raise ConfigError(f"--relevant-difference {relevant_difference:g} is not above 0 and up to 1.")
    if resamples < 100:
        raise ConfigError(f"--resamples {resamples} is too few: 100 are the least, 2000 are usual.")
    told = scored(files, vote, relevant_difference, resamples, seed)
    print(json.dumps(told, indent=1, allow_nan=False) if as_json else score_text(told))


@dataclass(frozen=True)
class Arm:
    """One arm's predictions.

    Attributes:
        file: The argument's file or NAME, or the arm of a file with several.
        short: The same for sentences: what tells it from the others.
        sources: The files.
        rows: Its predictions at sites that have patients.
        tile_level: Sites without patients; they have no vote.
    """

    file: str
    short: str
    sources: list[str]
    rows: pd.DataFrame
    tile_level: list[str]


def scored(
    arguments: Sequence[str], vote: str, relevant_difference: float, resamples: int, seed: int
) -> dict[str, Any]:
    """The whole answer, JSON-ready.

    Raises:
        ConfigError: An argument that cannot be meant.
        DataError: A file that holds no usable predictions.
    """
    from components.core.statistics.patients import label_conflicts, patient_predictions
    from components.core.statistics.verdict import compare_arms
    from components.report.verdict_text import reason_text

    arms = read_arms(arguments)
    cases = {}
    for arm in arms:
        try:
            cases[arm.short] = patient_predictions(arm.rows, vote)
        except DataError as error:
            raise DataError(f"{', '.join(arm.sources)}: {error}") from None
    conflicts = label_conflicts(pd.concat(cases.values(), ignore_index=True))
    files = [_file(arm, cases[arm.short], conflicts, resamples, seed) for arm in arms]
    comparisons = []
    if len(arms) > 1:
        table = pd.concat([arm.rows.assign(arm=arm.short) for arm in arms], ignore_index=True)
        found = compare_arms(
            table,
            baseline=arms[0].short,
            vote=vote,
            relevant_difference=relevant_difference,
            resamples=resamples,
            seed=seed,
        )
        comparisons = [
            one.row() | {"reason": reason_text(one), "baseline": arms[0].file, "arm": arm.file}
            for one, arm in zip(found, arms[1:], strict=True)
        ]
    return {"vote": vote, "files": files, "comparisons": comparisons, "label_conflicts": conflicts}


def read_arms(arguments: Sequence[str]) -> list[Arm]:
    """The arms that the arguments name, in their order."""
    named = [_argument(one) for one in arguments]
    short = _short([files[0] for name, files in named if not name])
    arms = []
    for name, files in named:
        tables = [_read(file) for file in files]
        several = [one for table in tables for one in table["arm"].unique()] if not name else []
        if len(several) > 1:
            arms += [
                _arm(one, one, files, tables[0][tables[0]["arm"] == one])
                for one in sorted(several, key=lambda one: one != BASELINE)
            ]
        else:
            arms.append(_arm(name or files[0], name or short[files[0]], files, _pooled(files, tables)))
    for arm in arms:
        if sum(arm.short == other.short for other in arms) > 1:
            raise ConfigError(f"Two arms are called {arm.short!r}: tell them apart as NAME={arm.sources[0]}.")
    return arms


def _argument(argument: str) -> tuple[str, list[str]]:
    """Name ('' for a plain file) and files of one argument."""
    if Path(argument).exists() or "=" not in argument:
        return "", [argument]
    name, _, rest = argument.partition("=")
    files = [one for one in rest.split(",") if one]
    if not name or not files:
        raise ConfigError(f"{argument!r} is no arm: write FILE, or NAME=FILE,FILE.")
    return name, files


def _read(file: str) -> pd.DataFrame:
    from components.core.statistics.predictions import read_predictions

    return read_predictions(file)


def _pooled(files: Sequence[str], tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Files as one arm: a fold each where they name none; nobody may be told by two of them with one seed."""
    parts = []
    for place, (file, table) in enumerate(zip(files, tables, strict=True)):
        if table["arm"].nunique() > 1:
            raise ConfigError(f"{file} has the arms {', '.join(table['arm'].unique())}: name it alone, without NAME=.")
        fold = table["fold"].where(table["fold"] != "", str(place) if len(files) > 1 else "")
        parts.append(table.assign(fold=fold, file=file))
    pooled = pd.concat(parts, ignore_index=True)
    seen = pooled.groupby(["site", "case", "seed"])["file"].unique()
    twice = seen[seen.map(len) > 1]
    if len(twice):
        (_, case, one_seed), places = twice.index[0], twice.iloc[0]
        raise DataError(
            f"Case {case!r} is in {places[0]} and in {places[1]} with seed {one_seed!r}: pool folds that test "
            "different cases, or seeds that a `seed` column tells apart."
        )
    return pooled.drop(columns="file")


def _arm(file: str, short: str, sources: Sequence[str], rows: pd.DataFrame) -> Arm:
    from components.core.statistics.patients import patient_level

    try:
        voted = patient_level(rows)
    except DataError as error:
        raise DataError(f"{', '.join(sources)}: {error}") from None
    sites = set(voted["site"])
    return Arm(file, short, list(sources), voted, [one for one in rows["site"].unique() if one not in sites])


def _short(files: Sequence[str]) -> dict[str, str]:
    """File -> what tells its path from the others': the parts that not all have in common."""
    parts = {file: Path(file).parts for file in files}
    if len(parts) < 2:
        return {file: Path(file).name for file in files}
    least = min(map(len, parts.values()))
    ahead = next((i for i in range(least) if len({one[i] for one in parts.values()}) > 1), least)
    behind = next((i for i in range(least - ahead) if len({one[-1 - i] for one in parts.values()}) > 1), least - ahead)
    return {file: "/".join(one[ahead : len(one) - behind]) or file for file, one in parts.items()}


def _file(arm: Arm, cases: pd.DataFrame, conflicts: Sequence[str], resamples: int, seed: int) -> dict[str, Any]:
    """One entry of `files`."""
    from components.core.statistics.breakdown import by_diagnosis, by_site
    from components.core.statistics.intervals import metric_intervals, wilson_interval
    from components.core.statistics.metrics import constant_predictors, patient_metrics
    from components.core.statistics.patients import ties
    from components.core.statistics.power import detectable_auroc

    measured = patient_metrics(cases)
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
        **measured,
        "intervals": intervals,
        "detectable_auroc": detectable_auroc(positives, len(cases) - positives),
        "ties": ties(cases),
        "conflicting_labels": dict(zip(differing["case"], map(int, differing["class"]), strict=True)),
        "constants": constant_predictors(cases),
        "by_site": by_site(cases),
        "by_diagnosis": by_diagnosis(cases),
        "tile_level_sites": arm.tile_level,
    }
