"""How often the verdict is wrong where no arm differs, and how often it finds an effect that is there.

    python bench/verdict.py                  500 studies each, two processes; prints the tables of verdict.md

A study is drawn as predictions of 11 arms (the baseline, both cheap rivals, four generators and their controls) with
three classifier seeds each, and judged as `compare_arms` does with its defaults. A patient's score is
the sum of the class's shift, what all arms share about the patient, what one arm makes of the patient, and what a seed
adds. A false verdict is any arm called better or worse in a study where no arm differs: at most 37 of 500 is the 99 %
bound of 5 %. "p alone" counts adjusted p < 0.05 whatever the seeds and the balanced accuracy say.
"""

import gc
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import cyclopts
import numpy as np
import pandas as pd
from scipy.stats import norm

from components.core.protocol.study_plan import ARMS, CONTROL
from components.core.runtime.progress import track
from components.core.statistics.verdict import BETTER, WORSE, endpoints, tiles_help, verdict_of

SEEDS = 3
BOUND = 0.05


@dataclass(frozen=True)
class Scenario:
    """A kind of study to draw.

    Attributes:
        name: Name in the table.
        sites: Site -> patients of class 1, of class 0.
        auroc: Expected AUROC of every arm, 0..1.
        shared: Share of a score's variance that all arms have in common, 0..1.
        better: Arm -> its AUROC in place of `auroc`.
    """

    name: str
    sites: Mapping[str, tuple[int, int]]
    auroc: float = 0.75
    shared: float = 0.6
    better: Mapping[str, float] = field(default_factory=dict)


ONE_SITE, TWO_SITES, LARGE = {"one": (56, 13)}, {"one": (25, 11), "two": (31, 2)}, {"one": (71, 85)}
NULL = (
    Scenario("69 patients, 13 negative", ONE_SITE),
    Scenario("69 patients of two sites, one of which has 5 of each class", TWO_SITES),
    Scenario("156 patients, 85 negative", LARGE),
    Scenario("156 patients, 85 negative, arms nearly alike", LARGE, auroc=0.9, shared=0.9),
)
PLANTED = (
    Scenario("69 patients, 13 negative", ONE_SITE, better={"mc100": 0.99}),
    Scenario("156 patients, 85 negative", LARGE, better={"mc100": 0.9}),
)


def all_arms() -> list[str]:
    """The baseline first, every arm, and the control of every generator."""
    return [*ARMS, *(arm + CONTROL for arm, scheme in ARMS.items() if scheme)]


def draw(scenario: Scenario, seed: int) -> pd.DataFrame:
    """One study's predictions."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.repeat([1, 0], counts) for counts in scenario.sites.values()])
    site = np.repeat(list(scenario.sites), [sum(counts) for counts in scenario.sites.values()])
    n = len(truth)
    common = rng.normal(size=n)
    individual, noise = np.sqrt(0.7 * (1 - scenario.shared)), np.sqrt(0.3 * (1 - scenario.shared))
    tables = []
    for arm in all_arms():
        shift = np.sqrt(2) * norm.ppf(scenario.better.get(arm, scenario.auroc))  # of unit-variance scores
        learnt = shift * (truth - 0.5) + np.sqrt(scenario.shared) * common + individual * rng.normal(size=n)
        for one in range(SEEDS):
            score = learnt + noise * rng.normal(size=n)
            rows = {"case": np.arange(n), "site": site, "class": truth, "pred_class": (score > 0).astype(int)}
            tables.append(pd.DataFrame({**rows, "prob_positive": norm.cdf(score), "arm": arm, "seed": str(one)}))
    return pd.concat(tables, ignore_index=True).assign(patient=lambda table: table["case"].astype(str))


def judge(scenario: Scenario, resamples: int, seed: int) -> dict[str, bool]:
    """The outcome of one study: any false verdict, any false p alone, the planted arm found."""
    _, found, controls = endpoints(draw(scenario, seed), resamples=resamples, seed=seed)
    null = [one for one in found if one.arm not in scenario.better]
    planted = [one for one in found if one.arm in scenario.better]
    return {
        "verdict": any(verdict_of(one) in (BETTER, WORSE) for one in null),
        "p": any((one.p_adjusted or 1) < BOUND for one in null),
        "found": any(verdict_of(one) == BETTER for one in planted),
        "help": any(tiles_help(one, controls[one.arm]) for one in planted),
        "false help": any(tiles_help(one, controls[one.arm]) for one in null if one.arm in controls),
    }


def count(scenario: Scenario, studies: int, resamples: int, workers: int) -> dict[str, int]:
    """Sums of `judge` over studies of seeds 0, 1, …"""
    with ProcessPoolExecutor(workers, initializer=gc.freeze) as pool:  # statsmodels collects garbage at every call
        outcomes = pool.map(partial(judge, scenario, resamples), range(studies), chunksize=5)
        return pd.DataFrame(list(track(outcomes, scenario.name, studies, "studies"))).sum().to_dict()


def main(studies: int = 500, planted: int = 200, resamples: int = 2000, workers: int = 2) -> None:
    """Prints two tables in Markdown.

    Args:
        studies: Number of studies per scenario without a difference.
        planted: Number of studies per scenario with a better arm.
        resamples: Number of resamples of the patient bootstrap.
        workers: Number of processes.
    """
    lines = [
        "| no arm differs | studies | false verdicts | p alone | GAN tiles help | s |",
        "| --- " + "| ---: " * 5 + "|",
    ]
    for scenario in NULL:
        started = time.monotonic()
        seen = count(scenario, studies, resamples, workers)
        cells = [studies, seen["verdict"], seen["p"], seen["false help"], f"{time.monotonic() - started:.0f}"]
        lines.append(f"| {scenario.name} | {' | '.join(map(str, cells))} |")
    lines += ["", "| one arm is better | studies | found | and its tiles help | other arms' false verdicts |"]
    lines += ["| --- " + "| ---: " * 4 + "|"]
    for scenario in PLANTED:
        seen = count(scenario, planted, resamples, workers)
        effect = ", ".join(f"{scenario.auroc} → {value}" for value in scenario.better.values())
        cells = [planted, seen["found"], seen["help"], seen["verdict"]]
        lines.append(f"| {scenario.name}, AUROC {effect} | {' | '.join(map(str, cells))} |")
    print("\n" + "\n".join(lines))


if __name__ == "__main__":
    cyclopts.run(main)
