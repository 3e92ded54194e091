"""The stage on a toy set of two classes: it learns both, and refuses bad input in one sentence."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.core.errors import ConfigError, DataError
from components.core.stylegan2.sampling import generate_images
from components.core.stylegan2.snapshot import load_generator

sys.path.insert(0, str(Path(__file__).parent))
import trainings
from trainings import OUTPUTS

FAST = {
    "batch": 8,
    "channel_base": 128,
    "channel_max": 16,
    "latent_dim": 16,
    "gamma": 0.1,
    "learning_rate": 0.005,
    "device": "cpu",
    "threads": 1,
}


def train(dataset, folder, **options):
    trainings.train(dataset, folder, **{**FAST, **options})
    return folder


@pytest.fixture(scope="module")
def trained(toy_archive, tmp_path_factory):
    return train(toy_archive, tmp_path_factory.mktemp("trained"), kimg=0.6, snapshot_kimg=0.2)


def test_classes_are_told_apart(trained):
    G = load_generator(trained / "snapshots/network-snapshot-000000.600.safetensors")
    seeds = list(range(24))
    red, blue = (
        np.mean([image.mean(axis=(0, 1)) for image in generate_images(G, seeds, [kind] * 24)], axis=0)
        for kind in (0, 1)
    )
    assert red[0] - red[2] > 15
    assert blue[2] - blue[0] > 15


def test_numbers_are_finite_and_complete(trained):
    record = json.loads((trained / "record.json").read_text())
    assert (record["stage"], record["fold"], record["scheme"]) == ("gan_train", "3", "binary")
    assert (record["kimg"], record["batch"], record["resolution"], record["device"]) == (0.6, 8, 16, "cpu")
    assert record["upstream"][0]["stage"] == "pack"
    ticks = record["tables"]["ticks"]
    assert ticks[-1]["kimg"] == 0.6
    assert all(math.isfinite(tick[key]) for tick in ticks for key in ("loss_g", "loss_d", "score_real", "sec_per_kimg"))
    stats = [json.loads(line) for line in (trained / "snapshots/stats.jsonl").read_text().splitlines()]
    assert stats == ticks
    settings = json.loads((trained / "snapshots/settings.json").read_text())
    assert (settings["batch"], settings["pl_weight"], settings["symmetry"], settings["ada_kimg"]) == (
        8,
        2,
        "mirror",
        500,
    )


def test_folder_holds_everything_that_later_stages_read(trained):
    folder = trained / "snapshots"
    names = {path.name for path in folder.iterdir()}
    numbers = ["000000.000", "000000.200", "000000.400", "000000.600"]
    assert names == {
        *(f"network-snapshot-{number}{suffix}" for number in numbers for suffix in (".safetensors", ".json")),
        *(f"fakes{number}.png" for number in numbers[1:]),
        "fakes_init.png",
        "reals.png",
        "stats.jsonl",
        "settings.json",
        "lineage.json",
        "classes.json",
        "records.json",
    }
    assert json.loads((folder / "lineage.json").read_text())["patients"] == ["i"]
    assert [one["name"] for one in json.loads((folder / "classes.json").read_text())] == ["red", "blue"]
    assert [one["stage"] for one in json.loads((folder / "records.json").read_text())] == ["pack", "gan_train"]
    with Image.open(folder / "reals.png") as reals, Image.open(folder / "fakes_init.png") as fakes:
        assert reals.size == fakes.size == (16 * 16, 4 * 16)
        rows = np.asarray(reals, dtype=float).reshape(2, 32, 256, 3).mean(axis=(1, 2))  # upper half red, lower blue
    assert rows[0, 0] > rows[0, 2]
    assert rows[1, 2] > rows[1, 0]


def test_page_needs_nothing_from_outside(trained):
    page = (trained / "page.html").read_text()
    assert page.count("<img") == 5
    assert page.count("<polyline") == 9
    assert "http" not in page
    assert "<script" not in page
    assert "fold 3" in page


def test_same_seed_same_bytes(toy_archive, tmp_path):
    def final(name, seed):
        folder = train(toy_archive, tmp_path / name, kimg=0.048, seed=seed)
        return (folder / "snapshots/network-snapshot-000000.048.safetensors").read_bytes()

    first = final("first", 3)
    assert final("again", 3) == first
    assert final("other", 4) != first


def test_whole_kimg_have_six_digits(toy_archive, tmp_path):
    tiny = {"channel_base": 16, "channel_max": 2, "latent_dim": 2, "batch": 64}
    folder = train(toy_archive, tmp_path, kimg=1, snapshot_kimg=1, **tiny)  # the smallest networks there are
    names = sorted(path.stem for path in (folder / "snapshots").glob("*.safetensors"))
    assert names == [f"network-snapshot-00000{kimg}" for kimg in range(2)]


def test_without_labels_it_is_unconditional(make_archive, tmp_path):
    folder = train(make_archive(labels=(), classes=()), tmp_path, kimg=0.032)
    assert load_generator(folder / "snapshots/network-snapshot-000000.032.safetensors").c_dim == 0


@pytest.mark.parametrize(
    ("archive", "options", "error", "sentence"),
    [
        ({"tiles": 0}, {}, DataError, "holds no tiles"),
        ({"resolution": 24}, {}, DataError, "24 px wide: .* power of two"),
        ({"resolution": 4}, {}, DataError, "4 px wide"),
        ({"shapes": [(16, 16)] * 63 + [(16, 18)]}, {}, DataError, r"img00000063.png .* is 18x16 px"),
        ({"classes": ("red",), "labels": (0,)}, {}, DataError, r"names 1 class\(es\)"),
        ({"labels": (0,)}, {}, DataError, "no tile of class 'blue'"),
        ({"labels": (0, 1, 2)}, {}, DataError, "labels outside its 2 classes"),
        ({"labels": (0, 1, None)}, {}, DataError, "21 tiles .* have no label"),
        ({"tiles": 4}, {}, DataError, "4 tiles, fewer than one batch of 8"),
        ({}, {"batch": 6}, ConfigError, "must be divisible by 4"),
        ({}, {"batch": 1}, ConfigError, "batch is 1"),
        ({}, {"kimg": -1.0}, ConfigError, "kimg is -1"),
        ({}, {"kimg": float("nan")}, ConfigError, "kimg is nan"),
        ({}, {"channel_base": 8}, ConfigError, "channel_base is 8"),
        ({}, {"gamma": -1.0}, ConfigError, "gamma is -1.0"),
        ({}, {"threads": -1}, ConfigError, "threads is -1"),
        ({}, {"device": "abacus"}, ConfigError, "no device 'abacus'"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(make_archive, tmp_path, archive, options, error, sentence):
    with pytest.raises(error, match=sentence) as refused:
        train(make_archive(**archive), tmp_path, kimg=options.pop("kimg", 0.032), **options)
    assert "\n" not in str(refused.value)
    assert not any((tmp_path / name).exists() for name in OUTPUTS.values())
