"""Compiled losses are used only where they have the plain ones' gradients."""

from types import SimpleNamespace

import pytest
import torch

from components.core.data.archive import ImageArchive
from components.gan_train import losses
from components.gan_train.compile_losses import NAMES, compile_losses, select_losses
from components.gan_train.config import resolve
from components.gan_train.dataset import InfiniteSampler, load_tiles
from components.gan_train.random_inputs import MicroBatch
from components.gan_train.trainer import GanTrainer

CPU = torch.device("cpu")


@pytest.fixture
def training(options):
    width = {"channel_base": 64, "channel_max": 4, "mapping_layers": 1, "d_mapping_layers": 1}
    return GanTrainer(resolve(options(**width, batch=4, augment_p=0.5), 0, 8, CPU), 2, 8, CPU)


@pytest.fixture
def draws(training, toy_archive):
    with ImageArchive(toy_archive) as archive:
        tiles = load_tiles(archive)
    tiles.images, tiles.resolution = tiles.images[:, :, ::2, ::2], 8
    return training.draw(tiles, InfiniteSampler(tiles.labels, 2, "none", False, 0))


def test_right_ones_are_used(training, draws, capsys):
    before = training.G.mapping.w_avg.clone()
    compiled = compile_losses(training, draws, MicroBatch(), backend="aot_eager")
    assert set(vars(compiled)) == set(NAMES)
    assert "gradients differ by" in capsys.readouterr().out
    assert torch.equal(training.G.mapping.w_avg, before)


def slightly_wrong(*arguments):
    loss, logits = losses.real_loss(*arguments)
    return loss * 1.01, logits


def no_number(*arguments):
    loss, logits = losses.real_loss(*arguments)
    return loss * float("nan"), logits


def broken(*arguments):
    raise RuntimeError("no C++ compiler\nis here")


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (slightly_wrong, "differ from the plain ones (real_loss by 1.0e-02): training without"),
        (no_number, "differ from the plain ones (real_loss by nan): training without"),
        (broken, "failed (RuntimeError: no C++ compiler is here): training without"),
    ],
)
def test_wrong_ones_are_not(training, draws, capsys, function, word):
    before = training.G.mapping.w_avg.clone()
    compiled = SimpleNamespace(**{**{name: getattr(losses, name) for name in NAMES}, "real_loss": function})
    assert select_losses(compiled, training, draws, MicroBatch()) is losses
    assert word in capsys.readouterr().out
    assert torch.equal(training.G.mapping.w_avg, before)
