"""Compiled losses are used only where they have the plain ones' gradients."""

import torch

from components.core.archive import ImageArchive
from components.gan_train import losses
from components.gan_train.compiled import NAMES, compile_losses
from components.gan_train.data import Order, load_tiles
from components.gan_train.draws import Part
from components.gan_train.loop import Training
from components.gan_train.settings import resolve

CPU = torch.device("cpu")


def test_compiled_losses_must_have_the_gradients_of_the_plain_ones(options, toy_archive, capsys):
    with ImageArchive(toy_archive) as archive:
        tiles = load_tiles(archive)
    settings = resolve(options(channel_base=64, channel_max=4, batch=4, augment_p=0.5), 8, CPU)
    tiles.images = tiles.images[:, :, ::2, ::2]
    tiles.resolution = 8
    training = Training(settings, 2, 8, CPU)
    draws = training.draw(tiles, Order(tiles.labels, 2, "none", False, 0))
    before = training.G.mapping.w_avg.clone()
    compiled = compile_losses(training, draws, Part(), backend="aot_eager")
    assert set(vars(compiled)) == set(NAMES)
    assert "gradients differ by" in capsys.readouterr().out
    assert torch.equal(training.G.mapping.w_avg, before)

    def wrong(graph, inputs):
        return lambda *given: tuple(one * 1.01 if torch.is_tensor(one) else one for one in graph(*given))

    torch._dynamo.reset()
    assert compile_losses(training, draws, Part(), backend=wrong) is losses
    assert "training without" in capsys.readouterr().out
