"""A training that collapses ends with a word of why; one that is well goes on."""

import copy
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from components.core.data.archive import ImageArchive
from components.core.records.gan_train import TickRow
from components.gan_train.collapse import LIMIT_KIMG, ThumbnailMetrics, collapse_reason
from components.gan_train.config import resolve
from components.gan_train.dataset import load_tiles
from components.gan_train.trainer import GanTrainer

CPU = torch.device("cpu")
EMPTY = TickRow(**dict.fromkeys((field.name for field in fields(TickRow)), 0.0))


def rows(*, p=(0.0,), recall=(), every=50.0):
    length = max(len(p), len(recall))
    p, recall = [*p, *[p[-1]] * (length - len(p))], [*recall, *[None] * (length - len(recall))]
    return [
        replace(EMPTY, kimg=every * (place + 1), augment_p=one, recall=other, distance=None)
        for place, (one, other) in enumerate(zip(p, recall, strict=True))
    ]


@pytest.mark.parametrize(
    ("history", "word"),
    [
        (rows(), ""),
        (rows(p=[0.9] + [1.0] * 11), "ADA's p has been 1 for 500 kimg"),
        (rows(p=[0.9] + [1.0] * 5), ""),
        (rows(p=[1.0] * 5 + [0.99] + [1.0] * 9), ""),
        (rows(recall=[0.1, 0.5, 0.4, 0.04, 0.0, 0.02]), "recall fell from 0.50 to 0.02"),
        (rows(recall=[0.1, 0.5, 0.4, 0.04, 0.0, 0.3]), ""),
        (rows(recall=[0.1, 0.5, 0.0, 0.0]), ""),
        (rows(recall=[0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0]), ""),
        (rows(recall=[0.5, None, 0.0, None, 0.0, None, 0.0]), "recall fell"),
    ],
)
def test_history_tells(history, word):
    assert bool(word) == bool(collapse_reason(history, 100.0))
    assert word in collapse_reason(history, 100.0)


def test_noise_that_covered_every_tile_was_no_better():
    history = rows(recall=[1.0, 0.9, 0.6, 0.0, 0.03, 0.0])
    distances = [24.0, 16.0, 13.0, 10.0, 12.0, 9.0]
    history = [replace(row, distance=distance) for row, distance in zip(history, distances, strict=True)]
    assert not collapse_reason(history, 100.0)
    history[-1] = replace(history[-1], distance=20.0)
    assert "recall fell from 0.90" in collapse_reason(history, 100.0)
    history[-1] = replace(history[-1], distance=None)
    assert "recall fell from 1.00" in collapse_reason(history, 100.0)


def test_slow_ada_is_given_its_time():
    history = rows(p=[0.9] + [1.0] * 12)
    assert LIMIT_KIMG < 600
    assert collapse_reason(history, 100.0)
    assert not collapse_reason(history, 5000.0)


class Copycat:
    """Draws the n-th tile for the n-th latent; collapsed, always the first."""

    z_dim, c_dim = 4, 2

    def __init__(self, tiles, is_collapsed):
        self.images, self.is_collapsed, self.place = tiles.images.float() / 127.5 - 1, is_collapsed, 0

    def __call__(self, z, c, noise_mode):
        places = np.zeros(len(z), dtype=int) if self.is_collapsed else np.arange(self.place, self.place + len(z))
        self.place += len(z)
        noise = torch.randn(len(z), 3, 16, 16, generator=torch.Generator().manual_seed(self.place))
        return self.images[torch.from_numpy(places % len(self.images))] + 1e-3 * noise


def test_thumbnails_sees_a_collapse(toy_archive, options):
    with ImageArchive(toy_archive) as archive:
        tiles = load_tiles(archive)
    thumbnails = ThumbnailMetrics(tiles, 64, seed=0)
    good, bad = (thumbnails.measure(Copycat(tiles, one), CPU, 16) for one in (False, True))
    assert good["recall"] > 0.95
    assert bad["recall"] < 0.1
    assert good["distance"] < 1e-3 < bad["distance"]
    torn = copy.deepcopy(GanTrainer(resolve(options(), 0, 16, CPU), 2, 16, CPU).G_ema)
    torn.synthesis.b16.torgb.bias.fill_(float("nan"))
    assert thumbnails.measure(torn, CPU, 16) == {"recall": 0.0, "distance": None}
