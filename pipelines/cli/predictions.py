"""`thygan predictions`: prediction files in Thy-GAN's form, for programs that read it."""

from pathlib import Path

from components.core.errors import DataError
from components.core.io.atomic_files import atomic_write
from components.core.runtime.progress import log


def predictions(files: list[Path], *, out: Path) -> None:
    """Writes predictions in Thy-GAN's form, a file for each arm, fold and seed.

    Its columns are patient, diagnosis, class, pred_class and pred_prob, the probability of the predicted class. Its
    patient is the unit of the vote, which thygan calls a case.

    Args:
        files: Prediction files in thygan's form.
        out: Folder to make, for ARM-foldFOLD-seedSEED.csv.
    """
    import pandas as pd

    from components.core.statistics.predictions import read_predictions
    from components.core.statistics.thygan_format import to_thygan_format

    if not files:
        raise DataError("There are no predictions to write: name at least one prediction file.")
    if out.exists():
        raise DataError(f"{out} exists: name a folder that does not.")
    table = pd.concat([read_predictions(file) for file in files], ignore_index=True)
    with atomic_write(out) as folder:
        folder.mkdir()
        for (arm, fold, seed), rows in table.groupby(["arm", "fold", "seed"], sort=False):
            name = f"{arm or 'arm'}-fold{fold}-seed{seed}.csv"
            to_thygan_format(rows).to_csv(folder / name, index=False, lineterminator="\n", float_format="%.9f")
            log(f"{out / name}: {len(rows)} predictions")
