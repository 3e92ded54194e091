"""thygan from Python: run a study, judge predictions, load a generator.

Importing this package loads nothing heavy; every function imports what it needs when it is called.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.core.stylegan2 import Generator

__all__ = ["load_generator", "run_study", "score"]


def run_study(out: str | Path, *, profile: str = "none", local_workers: int = 2, **parameters: Any) -> Path:
    """Runs a whole study on this machine, as `thygan run` does; the same call resumes an interrupted one.

    Args:
        out: Folder for the report, artifacts, cache, logs and the study key.
        profile: Name of a shipped profile, or a YAML file of option groups.
        local_workers: Folds that run at the same time.
        parameters: The study's parameters by their names: source, external, mpp, seed …, and option groups as
            mappings: gan={"kimg": 5000}, split={"arms": ["none", "bi100"]}.

    Returns:
        The report, an HTML file.

    Raises:
        ThyganError: Wrong parameters, or a stage that failed; the message is the stage's own.
    """
    from pipelines.cli.run import run_study as run

    return run(Path(out), profile=profile, local_workers=local_workers, parameters=parameters)


def score(
    arms: Mapping[str, Sequence[str | Path]],
    *,
    vote: str = "majority",
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Patient-level metrics and paired comparisons of prediction files, as `thygan score --json` prints them.

    Args:
        arms: Arm -> its prediction files (CSV, thygan's or Thy-GAN's form); the first arm is the baseline.
        vote: How tiles make a case's class: "majority" or "probability".
        resamples: Bootstrap resamples, at least 100.
        seed: Seed of the resamples.

    Raises:
        DataError: Files that hold no predictions, or patients with two classes.
    """
    from pipelines.cli.score import score_arms

    return score_arms({name: [Path(file) for file in files] for name, files in arms.items()}, vote, resamples, seed)


def load_generator(path: str | Path, device: str = "cpu") -> "Generator":
    """A trained generator, ready to draw: `G(z, c)` gives images [N, 3, R, R] in [-1, 1].

    Args:
        path: Generator folder of fid_select, or a .safetensors of gan_train with its JSON beside it.
        device: Device in PyTorch's words.

    Raises:
        DataError: The file is torn, or not a generator.
    """
    import torch

    from components.core.stylegan2.snapshot import load_generator as load

    return load(Path(path), torch.device(device))
