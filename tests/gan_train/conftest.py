import numpy as np
import pytest
import torch

from components.core.data.archive import ArchiveWriter
from components.core.data.file_names import CLASSES, LINEAGE, RECORDS
from components.gan_train.options import GanOptions

# What the smallest networks that can learn the toy set take.
TOY = {
    "batch": 8,
    "channel_base": 256,
    "channel_max": 32,
    "mapping_layers": 2,
    "latent_dim": 16,
    "gamma": 0.1,
    "learning_rate": 0.005,
}
COLOURS = ((200, 40, 40), (40, 60, 200), (40, 200, 40))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def toy_options(**options):
    """The stage's options, with small networks."""
    return GanOptions(**{**TOY, **options})


def write_archive(path, resolution=16, tiles=64, labels=(0, 1), classes=("red", "blue"), shapes=None):
    """Noisy tiles with one bright square each, red for class 0 and blue for class 1."""
    rng = np.random.default_rng(0)
    with ArchiveWriter(path) as archive:
        for index in range(tiles):
            label = labels[index % len(labels)] if labels else None
            height, width = shapes[index] if shapes else (resolution, resolution)
            image = rng.integers(90, 120, (height, width, 3))
            top, left = rng.integers(0, resolution // 4, 2)
            image[top : top + 10, left : left + 10] = COLOURS[label or 0] + rng.integers(-15, 15, 3)
            row = {"label": label, "patient": "p", "case": "p", "diagnosis": "", "site": "toy", "identity": "i"}
            archive.add(image.clip(0, 255).astype(np.uint8), row)
        if classes:
            archive.attach(CLASSES, [{"index": i, "name": name, "label": i} for i, name in enumerate(classes)])
        archive.attach(
            LINEAGE,
            {"key_id": "k", "plan": "p", "fold": "3", "scheme": "binary", "patients": ["i"], "trusted": ""},
        )
        archive.attach(RECORDS, [{"stage": "pack", "tiles": tiles}])
    return str(path)


@pytest.fixture
def options():
    return toy_options


@pytest.fixture
def make_archive(tmp_path):
    return lambda **options: write_archive(tmp_path / "dataset.zip", **options)


@pytest.fixture(scope="session")
def toy_archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("toy") / "dataset.zip")
