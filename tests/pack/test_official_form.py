"""What is packed, as a StyleGAN loader sees it: a reader written from the format's description alone."""

import json
import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from components.core.data.archive import ArchiveWriter
from components.core.protocol.lineage import identity, key_id
from components.core.protocol.split_plan import SplitPlan

KEY = b"a study key for tests"
HELD_OUT = 2


class Loader:
    """Images by sorted name, labels by name, order by (subset, mirror)."""

    def __init__(self, path, most=None, mirror=False, seed=0):
        self._zip = zipfile.ZipFile(path)
        self.names = sorted(
            name
            for name in self._zip.namelist()
            if "." + name.rpartition(".")[2].lower() in Image.registered_extensions()
        )
        with self._zip.open("dataset.json") as file:
            labels = json.load(file)["labels"]
        label_of = {name.replace("\\", "/"): label for name, label in labels}
        classes = np.array([label_of[name] for name in self.names])
        self.onehot = np.eye(classes.max() + 1, dtype=np.float32)[classes]
        order = np.arange(len(self.names))
        if most is not None and most < len(order):
            np.random.RandomState(seed).shuffle(order)
            order = np.sort(order[:most])
        self.raw_idx = np.concatenate([order, order]) if mirror else order
        self.xflip = np.arange(len(self.raw_idx)) >= len(order)

    def raw(self, index):
        with Image.open(BytesIO(self._zip.read(self.names[index]))) as image:
            assert image.format == "PNG"
            return np.array(image).transpose(2, 0, 1)

    def image(self, place):
        image = self.raw(self.raw_idx[place])
        return image[:, :, ::-1] if self.xflip[place] else image


@pytest.fixture
def packed(tmp_path, golden, pack):
    """The golden archive's images as training tiles, and two more to hold out."""

    def start(form):
        data = golden("dataset")
        labels = [label for _, label in json.loads(str(data[f"{form}/dataset_json"]))["labels"]]
        images = data[f"{form}/images_chw"].transpose(0, 2, 3, 1)
        who = [identity(KEY, "Home", str(i)) for i in range(len(images) + HELD_OUT)]
        with ArchiveWriter(tmp_path / "tiles.zip") as archive:
            for i, one in enumerate(who):
                place = i % len(images)
                row = {"patient": str(i), "case": str(i), "identity": one, "site": "Home", "label": labels[place]}
                archive.add(np.ascontiguousarray(images[place]), {**row, "diagnosis": f"class {labels[place]}"})
        parts = {"train": sorted(who[:-HELD_OUT]), "val": sorted(who[-HELD_OUT:]), "test": []}
        SplitPlan(key_id(KEY), {"0": parts}, "by hand").write(tmp_path / "plan.json")
        return pack(tmp_path / "tiles.zip", tmp_path / "plan.json")["dataset"], data

    return start


@pytest.mark.parametrize("form", ["crop16", "crop32box"])
def test_names_order_storage_labels_and_pixels_are_the_originals(packed, form):
    path, data = packed(form)
    loader = Loader(path)
    expected = [name for name in data[f"{form}/names"].tolist() if name != "dataset.json"]
    assert loader.names == expected
    with zipfile.ZipFile(path) as archive:
        assert [name for name in archive.namelist() if name.endswith(".png")] == expected
        assert {entry.compress_type for entry in archive.infolist()} == set(data[f"{form}/compress_types"].tolist())
        assert json.loads(archive.read("dataset.json")) == json.loads(str(data[f"{form}/dataset_json"]))
    assert np.array_equal([loader.raw(i) for i in range(len(expected))], data[f"{form}/images_chw"])
    assert np.array_equal(loader.onehot, data[f"{form}/onehot"])


@pytest.mark.parametrize(
    ("order", "options"),
    [
        ("order_plain", {}),
        ("order_mirror", {"mirror": True}),
        ("order_sub5", {"most": 5}),
        ("order_sub4s3m", {"most": 4, "seed": 3, "mirror": True}),
    ],
)
def test_a_loaders_subsets_and_mirrors_hit_the_same_tiles(packed, order, options):
    path, data = packed("crop16")
    loader = Loader(path, **options)
    assert np.array_equal(loader.raw_idx, data[f"{order}/raw_idx"])
    assert np.array_equal(loader.xflip, data[f"{order}/xflip"])
    assert np.array_equal(loader.image(0), data[f"{order}/first_image"])
    assert np.array_equal(loader.image(-1), data[f"{order}/last_image"])
