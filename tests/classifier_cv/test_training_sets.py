"""What an arm adds to the real training tiles."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_fold import rewrite, write_synthetic, write_tiles

from components.classifier_cv.data import arm_tiles, read_fold_tiles
from components.classifier_cv.training_sets import select_additions
from components.core.data.archive import ImageArchive
from components.core.errors import DataError

CPU = torch.device("cpu")


@pytest.fixture
def fold(toy):
    with ImageArchive(toy.tiles) as real, ImageArchive(toy.synthetic) as synthetic:
        return read_fold_tiles(real, synthetic, toy.split, "0")


def test_generator_arm_takes_the_first_of_each_class(toy, fold):
    with ImageArchive(toy.synthetic) as synthetic:
        additions = select_additions("bi100", fold.parts["train"].table, synthetic, "binary", 0)
        expected = [
            row
            for index, count in ((0, 6), (1, 5))
            for row in [i for i, value in enumerate(synthetic.manifest["class"]) if value == index][:count]
        ]
        assert additions.synthetic.tolist() == expected and not len(additions.redrawn)
        data = arm_tiles(fold, additions, 0, CPU)
        images = data.training.images[24:].permute(0, 2, 3, 1).numpy()
        assert np.array_equal(images, np.stack([synthetic.read(synthetic.manifest["file"][i]) for i in expected]))
        assert data.training.labels[24:].tolist() == [0] * 6 + [1] * 5


@pytest.mark.parametrize(("scheme", "name"), [("binary", "bi200-real"), ("diagnosis", "mc-real")])
def test_control_has_the_same_counts_of_training_tiles(toy, fold, lineage, tmp_path, scheme, name):
    path = write_synthetic(tmp_path / "synthetic.zip", replace(lineage, scheme=scheme), scheme=scheme, each=70)
    train = fold.parts["train"].table
    with ImageArchive(path) as synthetic:
        additions = select_additions(name, train, synthetic, scheme, 3)
        counts = synthetic.attachment("arms.json")[name.removesuffix("-real")]
        again, other = (select_additions(name, train, synthetic, scheme, seed).redrawn for seed in (3, 4))
    assert not len(additions.synthetic)
    drawn = train.iloc[additions.redrawn]
    if scheme == "binary":
        assert drawn["label"].value_counts().to_dict() == {0: counts["0"], 1: counts["1"]}
    else:
        assert drawn["diagnosis"].value_counts().to_dict() == dict(
            zip(["FA", "FTC", "PTC"], counts.values(), strict=True)
        )
    for _, rows in drawn.groupby("label" if scheme == "binary" else "diagnosis"):
        often = Counter(rows["file"])
        assert max(often.values()) - min(often.values()) <= 1  # every tile equally often
    assert set(drawn["identity"]) <= toy.split.part("0", "train")
    assert additions.redrawn.tolist() == again.tolist() != other.tolist()


def test_validation_and_test_tiles_are_real_in_every_arm(toy, fold):
    with ImageArchive(toy.synthetic) as synthetic:
        for name in ("none", "bi100", "bi100-real"):
            data = arm_tiles(fold, select_additions(name, fold.parts["train"].table, synthetic, "binary", 0), 0, CPU)
            assert torch.equal(data.validation.images, fold.parts["val"].tiles)
            assert torch.equal(data.test, fold.parts["test"].tiles)
            assert torch.equal(data.training.images[:24], fold.parts["train"].tiles)


def test_too_few_synthetic_tiles_are_refused(fold, lineage, tmp_path):
    arms = {"bi100": {"0": 7, "1": 1}}
    with ImageArchive(write_synthetic(tmp_path / "synthetic.zip", lineage, arms=arms)) as synthetic:
        with pytest.raises(DataError, match="has 6 tiles of class 'FA', the arm needs 7"):
            select_additions("bi100", fold.parts["train"].table, synthetic, "binary", 0)
        with pytest.raises(DataError, match="holds no tiles for the arm 'bi200'"):
            select_additions("bi200", fold.parts["train"].table, synthetic, "binary", 0)


def test_a_fold_without_validation_tiles_is_refused(toy, tmp_path):
    strangers = toy.tiles
    for patient in ("6", "7", "8"):
        strangers = rewrite(strangers, tmp_path / f"{patient}.zip", patient, identity="nobody")
    with (
        ImageArchive(strangers) as real,
        ImageArchive(toy.synthetic) as synthetic,
        pytest.raises(DataError, match="no val tiles"),
    ):
        read_fold_tiles(real, synthetic, toy.split, "0")


def test_tiles_of_two_sizes_are_refused(toy, tmp_path):
    uneven = write_tiles(tmp_path / "tiles.zip", lambda patient, pixels: pixels[:16, :16] if patient == 4 else pixels)
    with (
        ImageArchive(uneven) as real,
        ImageArchive(toy.synthetic) as synthetic,
        pytest.raises(DataError, match="16x16"),
    ):
        read_fold_tiles(real, synthetic, toy.split, "0")
