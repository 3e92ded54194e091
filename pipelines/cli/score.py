"""`thygan score`: patient-level metrics and paired comparisons of any prediction files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from components.core.errors import ConfigError

_RELEVANT_DIFFERENCE = 0.1
_LEAST_RESAMPLES = 100


def score(
    files: Annotated[tuple[str, ...], Parameter(negative=())],
    *,
    vote: Literal["majority", "probability"] = "majority",
    relevant_difference: float = _RELEVANT_DIFFERENCE,
    resamples: int = 2000,
    seed: int = 0,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Scores prediction files by patient and compares each with the first, the baseline.

    Reads CSV with the columns patient, class, pred_class and prob_positive (the probability of class 1), or Thy-GAN's
    pred_prob (the probability of the predicted class) in its place; and if there are any tile, case, site, diagnosis,
    arm, fold, seed. A file with several arms is split into them, `none` first.

    Args:
        files: FILE, or NAME=FILE,FILE: folds or seeds pooled as one arm. NAME and NAME-real are an arm and its control.
        vote: Rule from a case's tiles to its class: "majority" (mean of the tiles' classes, a tie is class 0) or
            "probability".
        relevant_difference: Smallest AUROC difference that would matter, 0..1.
        resamples: Number of resamples of the patient bootstrap, at least 100.
        seed: Seed of the bootstrap.
        as_json: Print JSON, fractions in 0..1.
    """
    from pipelines.cli.arm_scores import compare_files, read_arms
    from pipelines.cli.score_text import score_text

    if not 0 < relevant_difference <= 1:
        raise ConfigError(f"--relevant-difference is {relevant_difference:g}: give a number above 0 and up to 1.")
    _check_resamples(resamples)
    scores = compare_files(read_arms(files), vote, relevant_difference, resamples, seed)
    print(json.dumps(scores, indent=1, allow_nan=False) if as_json else score_text(scores))


def score_arms(arms: Mapping[str, Sequence[Path]], vote: str, resamples: int, seed: int) -> dict[str, Any]:
    """What `thygan score --json` prints.

    Args:
        arms: Arm -> its prediction files, pooled; the first arm is the baseline.
        vote: Rule from a case's tiles to its class: "majority" or "probability".
        resamples: Number of resamples of the patient bootstrap, at least 100.
        seed: Seed of the bootstrap.

    Raises:
        ConfigError: An unknown vote, or too few resamples.
        DataError: A file without usable predictions.
    """
    from pipelines.cli.arm_scores import compare_files, read_named_arms

    if vote not in ("majority", "probability"):
        raise ConfigError(f"vote is {vote!r}: give majority or probability.")
    _check_resamples(resamples)
    named = [(name, [str(file) for file in files]) for name, files in arms.items()]
    return compare_files(read_named_arms(named), vote, _RELEVANT_DIFFERENCE, resamples, seed)


def _check_resamples(resamples: int) -> None:
    if resamples < _LEAST_RESAMPLES:
        raise ConfigError(f"--resamples {resamples} is too few: give at least {_LEAST_RESAMPLES}; 2000 are usual.")
