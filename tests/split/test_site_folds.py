"""Whole sites: compared with a search of all assignments."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest

from components.core.errors import ConfigError, ThyganError
from components.core.protocol.lineage import identity
from components.core.protocol.split_plan import SplitPlan
from components.split.folds import draw_stratified_folds
from components.split.options import SplitOptions
from components.split.patients import read_patients
from components.split.stage import run

DIAGNOSES = {"FA": 0, "FTC": 0, "PTC": 1, "FVPTC": 1}


def cohort(counts):
    """Patients from site -> {diagnosis: how many}."""
    rows = [
        {"patient": f"{site}{name}{i}", "diagnosis": name, "label": DIAGNOSES[name], "site": site}
        for site, own in counts.items()
        for name, count in own.items()
        for i in range(count)
    ]
    table = pd.DataFrame(rows)
    return table.assign(identity=table["patient"], case=table["patient"], source="", x=0, y=0, sha256="")


def random_counts(seed, sites):
    rng = np.random.default_rng(seed)
    return {
        f"S{site}": {name: int(rng.integers(low, high)) for name, low, high in
                     (("FA", 1, 9), ("FTC", 0, 4), ("PTC", 1, 12), ("FVPTC", 0, 3))}
        for site in range(sites)
    }  # fmt: skip


def squared_deviations(patients, assignment, folds):
    """Summed over strata and folds, relative to the stratum's size.

    Args:
        patients: Of each stratum (columns) at each site (rows).
        assignment: Fold of each site.
        folds: How many.
    """
    in_fold = np.array([patients[np.array(assignment) == fold].sum(axis=0) for fold in range(folds)])
    return float((((in_fold - patients.sum(axis=0) / folds) ** 2) / patients.sum(axis=0)).sum())


@pytest.mark.parametrize("seed", range(4))
def test_no_other_assignment_of_whole_sites_is_more_even(seed):
    table = cohort(random_counts(seed, 6))
    made = draw_stratified_folds(read_patients(table), 3, 0.2, seed, False, whole_sites=True)
    strata = [pd.crosstab(table["site"], table[column]) for column in ("label", "diagnosis")]
    patients = pd.concat(strata, axis=1).to_numpy()
    site_of = dict(zip(table["patient"], table["site"], strict=True))
    fold_of = {site_of[one]: int(fold) for fold, parts in made.items() for one in parts["test"]}
    chosen = [fold_of[site] for site in sorted(fold_of)]
    best = min(squared_deviations(patients, other, 3) for other in itertools.product(range(3), repeat=6))
    assert squared_deviations(patients, chosen, 3) == pytest.approx(best)


@pytest.mark.parametrize("folds", [2, 5])
def test_a_tested_site_is_learnt_from_nowhere_in_its_fold(folds):
    table = cohort(random_counts(7, 24))
    made = draw_stratified_folds(read_patients(table), folds, 0.2, 0, False, whole_sites=True)
    site_of = dict(zip(table["patient"], table["site"], strict=True))
    assert sorted(one for parts in made.values() for one in parts["test"]) == sorted(table["patient"])
    for parts in made.values():
        tested = {site_of[one] for one in parts["test"]}
        assert not tested & {site_of[one] for one in parts["train"] + parts["val"]}
        assert len(parts["train"]) + len(parts["val"]) + len(parts["test"]) == len(table)
        assert 0.1 < len(parts["val"]) / (len(parts["train"]) + len(parts["val"])) < 0.3
    assert made == draw_stratified_folds(read_patients(table), folds, 0.2, 0, False, whole_sites=True)


def test_a_class_at_few_sites_needs_fewer_folds():
    few = {"A": {"PTC": 9}, "B": {"PTC": 9}, "C": {"FA": 3, "PTC": 1}, "D": {"FA": 3}}
    with pytest.raises(ConfigError, match=r"Class 0 is at 2 site\(s\), too few for 3 folds .* at most --folds 2"):
        draw_stratified_folds(read_patients(cohort(few)), 3, 0.2, 0, False, whole_sites=True)
    made = draw_stratified_folds(read_patients(cohort(few)), 2, 0.2, 0, False, whole_sites=True)
    assert sorted(len({one[0] for one in parts["test"]} & {"C", "D"}) for parts in made.values()) == [1, 1]


@pytest.fixture
def split(tmp_path, manifest):
    """Runs the stage on patients at two sites each class, with lists to import."""

    def start(lists, **options):
        rows = [(f"{i}.png", i % 2, str(i), str(i), ("FA", "PTC")[i % 2]) for i in range(16)]
        site = ["East" if i < 8 else "West" for i in range(16)]
        who = [identity(b"a study key for tests", place, str(i)) for i, place in enumerate(site)]
        path = manifest(rows, site=site, identity=who)
        (tmp_path / "cv0_split.json").write_text(json.dumps(lists))
        paths = {name: str(tmp_path / f"{name}.json") for name in ("plan", "study", "split_record")}
        run(manifest=str(path), **paths, options=SplitOptions(folds=2, **options))
        return SplitPlan.read(paths["plan"]), who

    return start


def test_the_stage_keeps_sites_whole_on_request(split):
    plan, who = split({}, preserve_sites=True)
    assert sorted(map(sorted, (plan.part(fold, "test") for fold in plan.test_folds))) == sorted(
        map(sorted, (who[:8], who[8:]))
    )
    assert "stratified 2-fold over whole sites, seed 0" in plan.origin


def test_imported_folds_are_held_to_it(split, tmp_path):
    lists = {"train": [0, 1, 2, 3], "val": [4, 5], "test": list(range(8, 16))}
    plan, who = split(lists, preserve_sites=True, import_splits=str(tmp_path / "cv0_split.json"))
    assert plan.part("0", "test") == set(who[8:])
    lists["train"] += [8, 9]
    lists["test"] = list(range(10, 16))
    with pytest.raises(ThyganError, match=r"Fold 0 of .* tests on site 'West' and learns from it"):
        split(lists, preserve_sites=True, import_splits=str(tmp_path / "cv0_split.json"))
    assert split(lists, import_splits=str(tmp_path / "cv0_split.json"))[0].test_folds == ["0"]
