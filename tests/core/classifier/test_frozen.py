"""Frozen classifiers, the tiles they see and the table they fill."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from components.core.classifier.frozen import FrozenClassifier, read_classifiers, save_weights, write_classifiers
from components.core.classifier.predictions import (
    class_names,
    logits,
    positive_probability,
    prediction_rows,
    write_predictions,
)
from components.core.classifier.tiles import load_classifier_tiles, study_mpp
from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.errors import DataError, WeightsError
from components.core.features.backbones import build_backbone
from components.core.io.atomic_files import file_sha256
from components.core.statistics.predictions import read_predictions

NETWORK = "shufflenet_v2_x0_5"


@pytest.fixture
def folder(tmp_path):
    file = save_weights(
        build_backbone(NETWORK, num_classes=2, pretrained=False, seed=3), tmp_path, "none/seed3.safetensors"
    )
    one = FrozenClassifier(
        "none", 3, "all", "binary", file, file_sha256(tmp_path / file), NETWORK, 32, 16, None, 0.5, None, "a mark", "p"
    )
    write_classifiers(tmp_path, [one, replace(one, arm="mc", threshold=0.25)])
    return tmp_path


def test_round_trip(folder):
    first, second = read_classifiers(folder)
    assert (first.arm, first.seed, first.mpp, first.mark) == ("none", 3, None, "a mark")
    assert second.threshold == 0.25
    loaded = first.load(folder, torch.device("cpu"))
    built = build_backbone(NETWORK, num_classes=2, pretrained=False, seed=3)
    assert not loaded.module.training
    for loaded_tensor, built_tensor in zip(
        loaded.module.state_dict().values(), built.module.state_dict().values(), strict=True
    ):
        assert torch.equal(loaded_tensor, built_tensor)


def test_changed_weights_are_refused(folder):
    other = build_backbone(NETWORK, num_classes=2, pretrained=False, seed=4)
    save_weights(other, folder, "none/seed3.safetensors")
    with pytest.raises(WeightsError, match="not the file that was frozen"):
        read_classifiers(folder)[0].load(folder, torch.device("cpu"))
    with pytest.raises(DataError, match=r"no classifiers\.json"):
        read_classifiers(folder / "none")


def test_logits_do_not_depend_on_the_batch_and_the_mode_stays():
    network = build_backbone(NETWORK, num_classes=2, pretrained=False)
    network.module.train()
    tiles = torch.randint(0, 256, (7, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    cpu = torch.device("cpu")
    whole, parts = logits(network, tiles, 32, 100, cpu), logits(network, tiles, 32, 3, cpu)
    torch.testing.assert_close(whole, parts)
    assert network.module.training and whole.shape == (7, 2)
    assert logits(network, tiles[:0], 32, 3, cpu).shape == (0, 2)


def test_positive_is_the_softmax_of_class_1():
    outputs = torch.tensor([[0.0, 0.0], [2.0, -1.0], [-30.0, 30.0]])
    expected = 1 / (1 + np.exp(-np.array([0.0, -3.0, 60.0])))
    np.testing.assert_allclose(positive_probability(outputs), expected, atol=1e-9)


def test_predictions_are_what_the_statistics_read(folder, tmp_path):
    first, second = read_classifiers(folder)
    table = pd.DataFrame(
        {
            "file": ["a", "b"],
            "patient": ["7", "unknown"],
            "case": ["7a", "unknown"],
            "site": ["A", "B"],
            "diagnosis": ["FA", "PTC"],
            "label": pd.array([0, 1], dtype="Int64"),
        }
    )
    rows = [prediction_rows(table, np.array([0.3, 0.123456789]), one) for one in (first, second)]
    write_predictions(tmp_path / "both.csv", rows)
    read = read_predictions(tmp_path / "both.csv")
    assert read["pred_class"].tolist() == [0, 0, 1, 0]
    assert read["prob_positive"].tolist() == [0.3, 0.123456789] * 2
    assert read["threshold"].tolist() == [0.5, 0.5, 0.25, 0.25]
    assert read["patient"].tolist() == ["7", "", "7", ""]
    write_predictions(tmp_path / "none.csv", rows[:1])
    assert "threshold" not in (tmp_path / "none.csv").read_text()


def test_tiles_come_in_the_tables_order(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    with ArchiveWriter(tmp_path / "tiles.zip") as archive:
        for one in pixels:
            archive.add(one, {"label": 0})
    with ImageArchive(tmp_path / "tiles.zip") as archive:
        tiles = load_classifier_tiles(archive, archive.manifest.iloc[[2, 0]], 8, "tiles")
        assert np.array_equal(tiles.permute(0, 2, 3, 1).numpy(), pixels[[2, 0]])
        with pytest.raises(DataError, match="8x8 pixels, expected 4x4"):
            load_classifier_tiles(archive, archive.manifest, 4, "tiles")


def test_study_mpp():
    def table(**sites):
        return pd.DataFrame([{"site": site, "mpp": mpp} for site, own in sites.items() for mpp in own])

    assert study_mpp(table(A=[0.5, 0.5, 0.31], B=[0.501])) == 0.5  # one enlarged image does not change a site's
    assert study_mpp(table(A=[0.5], B=[float("nan")])) is None
    with pytest.raises(DataError, match=r"A: 0\.25, B: 0\.5"):
        study_mpp(table(A=[0.25], B=[0.5]))


def test_class_names():
    assert class_names({"PTC": 1, "FA": 0, "FTC": 1}) == ("FA", "FTC+PTC")
    assert class_names({}) == ("class 0", "class 1")
