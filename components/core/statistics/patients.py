"""From tiles to cases: the vote and the mean probability of every case."""

import numpy as np
import pandas as pd

from components.core.errors import ConfigError, DataError
from components.core.statistics.auroc import Groups
from components.core.statistics.predictions import as_predictions

VOTES = ("majority", "probability")
LEAST_PER_CLASS = 5  # patients of each class at a site that takes part in the primary endpoint


def patient_predictions(table: pd.DataFrame, vote: str = "majority") -> pd.DataFrame:
    """One row per arm and case, from all its tiles and seeds.

    Args:
        table: Predictions (see `as_predictions`), every row with a patient.
        vote: "majority": Thy-GAN's mean of `pred_class` rounded half to even, so a tie is class 0. "probability": the
            mean probability is above 0.5, or above the mean of the table's `threshold` column where it has one.

    Returns:
        `arm, site, case, patient, diagnosis, fold, class, pred_class, prob_positive` (the mean over tiles and seeds,
        whatever the vote), `tiles` (per seed), `seeds`, `tie` (True where the vote was a tie); sorted.

    Raises:
        DataError: For a row without a patient, or a case with two classes or two patients.
    """
    if vote not in VOTES:
        raise ConfigError(f"The vote {vote!r} is not known: give {' or '.join(VOTES)}.")
    table = as_predictions(table)
    unknown = table[table["patient"] == ""]
    if len(unknown):
        raise DataError(
            f"{len(unknown)} predictions of site {unknown['site'].iloc[0]!r} have no patient, so their cases have no "
            "vote: name their patients, or list the site as tile-level."
        )
    groups = table.groupby(["arm", "site", "case"], sort=True)
    _check_single(groups["class"].nunique(), "classes")
    _check_single(groups["patient"].nunique(), "patients")
    first = groups[["patient", "diagnosis", "fold", "class"]].first()
    rows, votes, seeds = groups.size(), groups["pred_class"].sum(), groups["seed"].nunique()
    score = groups["prob_positive"].mean()
    threshold = groups["threshold"].mean() if "threshold" in table.columns else 0.5
    majority = vote == "majority"
    cases = first.assign(
        pred_class=(2 * votes > rows if majority else score > threshold).astype(int),
        prob_positive=score,
        tiles=rows // seeds,
        seeds=seeds,
        tie=2 * votes == rows if majority else score == threshold,
    )
    return cases.reset_index()


def tile_predictions(table: pd.DataFrame) -> pd.DataFrame:
    """The same columns with every tile as its own case, by mean probability over the seeds: for tile-level sites."""
    table = as_predictions(table)
    tile = table["tile"]
    if (tile == "").any():
        tile = table.groupby(["arm", "fold", "seed", "site"]).cumcount().astype(str)
    return patient_predictions(table.assign(tile=tile, case=tile, patient=tile), "probability")


def patient_level(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the sites that have patients; tile-level sites, which have none at all, take no part in a test.

    Raises:
        DataError: For a site where only some rows have a patient, or a table without any.
    """
    table = as_predictions(table)
    share = (table["patient"] != "").groupby(table["site"]).mean()
    for site, known in share.items():
        if 0 < known < 1:
            raise DataError(f"Site {site!r} has predictions with and without a patient: name the missing patients.")
    kept = table[table["site"].map(share) == 1].reset_index(drop=True)
    if kept.empty:
        raise DataError("No prediction has a patient: patient-level numbers need them.")
    return kept


def ties(cases: pd.DataFrame) -> list[str]:
    """Cases whose vote was a tie."""
    return sorted(cases.loc[cases["tie"], "case"].unique())


def label_conflicts(cases: pd.DataFrame) -> list[str]:
    """Cases that different arms give different classes."""
    classes = cases.groupby(["site", "case"])["class"].nunique()
    return sorted({str(case) for _, case in classes[classes > 1].index})


def qualifying_sites(cases: pd.DataFrame, least: int = LEAST_PER_CLASS) -> list[str]:
    """Sites with at least `least` patients in each class, in the table's order."""
    patients = cases.groupby(["site", "class"])["patient"].nunique().unstack(fill_value=0)
    smaller = patients.reindex(columns=[0, 1], fill_value=0).min(axis=1)
    return [str(site) for site in cases["site"].unique() if smaller[site] >= least]


def patient_codes(cases: pd.DataFrame) -> Groups:
    """[n], a number per patient; equal names at two sites are two patients."""
    return cases.groupby(["site", "patient"]).ngroup().to_numpy().astype(np.intp)


def _check_single(counts: pd.Series, what: str) -> None:
    several = counts[counts > 1]
    if len(several):
        arm, site, case = several.index[0]
        group = "".join(f", {kind} {value!r}" for kind, value in (("site", site), ("arm", arm)) if value)
        raise DataError(
            f"Case {case!r}{group} has {several.iloc[0]} {what}: a case has one patient and one class; correct the "
            "rows, or give the cases different names in the `case` column."
        )
