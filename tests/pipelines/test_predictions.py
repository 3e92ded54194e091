"""`thygan predictions`: our predictions in Thy-GAN's form say what they said."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.core.errors import DataError
from components.core.statistics.metrics import patient_metrics
from components.core.statistics.patients import patient_predictions
from components.core.statistics.predictions import COLUMNS, read_predictions
from pipelines.cli.predictions import predictions

PUBLISHED = Path(__file__).parents[3] / "shared/reference/thygan/logs"


def write_predictions(folder, arms=("none", "bi100"), seeds=(0, 1)):
    rng = np.random.default_rng(0)
    rows = []
    for arm in arms:
        for seed in seeds:
            for tile in range(24):
                case, positive = f"{tile // 4}", round(float(rng.random()), 9)
                truth, called = int(tile // 12), int(positive >= 0.4)  # a threshold that is not 0.5
                told = [f"{tile}.png", f"p{case}", case, "A", "PTC", truth, called, positive, arm, "0", seed]
                rows.append([*told, 0.4])
    path = folder / "predictions.csv"
    pd.DataFrame(rows, columns=[*COLUMNS, "threshold"]).to_csv(path, index=False)
    return path


def test_the_files_give_the_same_votes(tmp_path):
    predictions([write_predictions(tmp_path)], out=tmp_path / "published")
    files = sorted(path.name for path in (tmp_path / "published").iterdir())
    assert files == [f"{arm}-fold0-seed{seed}.csv" for arm in ("bi100", "none") for seed in (0, 1)]
    table = read_predictions(tmp_path / "predictions.csv")
    for file in files:
        arm, _, seed = file.removesuffix(".csv").split("-")
        own = table[(table["arm"] == arm) & (table["seed"] == seed.removeprefix("seed"))]
        theirs = pd.read_csv(tmp_path / "published" / file)
        assert list(theirs) == ["patient", "diagnosis", "class", "pred_class", "pred_prob"]
        read = read_predictions(tmp_path / "published" / file)
        assert read["prob_positive"].tolist() == pytest.approx(own["prob_positive"].tolist(), abs=2e-9)
        first, second = (patient_metrics(patient_predictions(one, "majority")) for one in (own, read))
        for name in ("n", "accuracy", "macro_f1", "auroc", "brier"):
            assert first[name] == pytest.approx(second[name], abs=1e-8)


def test_what_thy_gan_published_comes_back_as_it_was(tmp_path):
    if not PUBLISHED.exists():
        pytest.skip("skipped: ../shared/reference/thygan is not here")
    source = sorted(PUBLISHED.rglob("test_preds.csv"))[0]
    predictions([source], out=tmp_path / "again")
    (file,) = (tmp_path / "again").iterdir()
    before, after = (pd.read_csv(path, dtype={"patient": str}) for path in (source, file))
    pd.testing.assert_frame_equal(before, after, atol=2e-9)


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match="exists"):
        predictions([write_predictions(tmp_path)], out=tmp_path / "there")
    with pytest.raises(DataError, match="name at least one"):
        predictions([], out=tmp_path / "new")
