"""A training that diverges ends with a sentence of advice."""

import pytest
import torch

from components.core.data.archive import ImageArchive
from components.core.errors import TrainingError
from components.gan_train.config import resolve
from components.gan_train.dataset import load_tiles
from components.gan_train.setup import TrainingSetup
from components.gan_train.trainer import GanTrainer
from components.gan_train.training_loop import train

CPU = torch.device("cpu")


@pytest.fixture
def small(options, toy_archive):
    with ImageArchive(toy_archive) as archive:
        tiles = load_tiles(archive)

    def make(**given):
        config = resolve(options(channel_base=128, channel_max=8, **given), 0, 16, CPU)
        return TrainingSetup(GanTrainer(config, 2, 16, CPU), tiles)

    return make


def test_a_diverged_loss_is_an_error_with_advice(small):
    with pytest.raises(TrainingError, match=r"diverged before .* lower learning_rate"):
        train(small(kimg=0.2, learning_rate=1e12))


def test_nonfinite_gradients_end_the_training(small):
    """Though every loss is finite, and the steps are taken without them."""
    setup = small(kimg=0.2)
    setup.trainer.G.synthesis.b4.conv1.bias.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(TrainingError, match=r"not finite in many steps \(g_main 100%, g_reg 100%\)"):
        train(setup)
    assert all(one.isfinite().all() for one in setup.trainer.G.parameters())
