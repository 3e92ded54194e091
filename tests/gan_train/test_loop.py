"""The training's step against the original's, its moving average, and where its randomness comes from."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from components.core.archive import ImageArchive
from components.core.errors import TrainingError
from components.gan_train.data import load_tiles
from components.gan_train.loop import Draws, Training, ema_beta
from components.gan_train.losses import Latents
from components.gan_train.settings import resolve
from components.gan_train.ticks import train

CPU = torch.device("cpu")
OPTIONS = {
    "kimg": 1.0,
    "batch": 8,
    "channel_base": 1024,
    "channel_max": 64,
    "mapping_layers": 8,
    "latent_dim": 64,
    "gamma": 0.5,
    "learning_rate": 0.0025,
    "ema_kimg": 20.0,
    "snapshot_kimg": 0.0,
    "seed": 0,
}
SMALL = {**OPTIONS, "channel_base": 128, "channel_max": 8, "latent_dim": 8, "mapping_layers": 2}


def test_two_iterations_equal_the_original(golden):
    data, phases, critic = golden("train_step"), golden("loss_phases_nomix"), golden("discriminator")
    settings = replace(resolve(32, CPU, **OPTIONS), ema_rampup=None)
    training = Training(settings, 2, 32, CPU)
    for network, state in (
        (training.G, golden("generator")),
        (training.G_ema, golden("generator")),
        (training.D, critic),
    ):
        network.load_state_dict({k.removeprefix("sd/"): torch.tensor(v) for k, v in state.items() if k[:3] == "sd/"})
    training.images_seen = int(data["cur_nimg"])

    def latents(phase, iteration, n=8):
        z = np.roll(phases[f"z/{phase}"], iteration, axis=0)
        return Latents(torch.tensor(z[:n]), torch.tensor(phases[f"c/{phase}"][:n]))

    for iteration in range(2):
        measured = training.step(
            Draws(
                real=torch.tensor(phases["real"]),
                real_c=torch.tensor(phases["real_c"]),
                g_main=latents("Gmain", iteration),
                g_reg=latents("Greg", iteration, 4),
                d_main=latents("Dmain", iteration),
                pl_noise=torch.tensor(phases["pl_noise_unit"]),
                noise=None,
            )
        )
        regularised = {"path_length", "r1_penalty"} & set(measured)
        assert len(regularised) == (2 if iteration == 0 else 0)
        for name in ("G", "D", "G_ema"):
            check_state(getattr(training, name), data, f"it{iteration}/{name}")
        z, c = (torch.tensor(golden("generator")[key][:2]) for key in ("z", "labels"))
        images = training.G_ema(z, c, noise_mode="const")
        logits = training.D(torch.tensor(critic["images"]), torch.tensor(critic["labels"])).detach()
        np.testing.assert_allclose(images, data[f"it{iteration}/img_ema"], atol=1e-4)
        np.testing.assert_allclose(logits, data[f"it{iteration}/logits"], atol=1e-3)


def check_state(network, data, prefix):
    """Norms of all tensors, and all values of some; a gradient around zero may step either way, by twice the rate."""
    for key, value in network.state_dict().items():
        if f"{prefix}/stat/{key}" in data:
            norm = data[f"{prefix}/stat/{key}"][1]
            np.testing.assert_allclose(value.double().norm(), norm, rtol=1e-4, atol=1e-6, err_msg=f"{prefix} {key}")
        if f"{prefix}/val/{key}" in data:
            difference = np.abs(value.numpy() - data[f"{prefix}/val/{key}"])
            assert difference.max() <= 2 * 2 * OPTIONS["learning_rate"], key
            assert (difference > 1e-5).mean() <= 0.05, key


def test_moving_average_keeps_what_the_original_keeps(golden):
    data = golden("ema_beta")
    for case in ("auto_b8", "noramp_b64", "ramp_b16", "long_auto_b8", "long_paper512_b64", "long_auto_b64"):
        batch, ema_kimg, rampup = (data[f"{case}/{key}"].item() for key in ("batch", "ema_kimg", "ema_rampup"))
        rampup = None if np.isnan(rampup) else rampup
        ours = [ema_beta(batch, ema_kimg, rampup, seen) for seen in data[f"{case}/cur_nimg"].tolist()]
        np.testing.assert_allclose(ours, data[f"{case}/beta"], rtol=1e-12, err_msg=case)


@pytest.fixture(scope="module")
def tiles(toy_archive):
    with ImageArchive(toy_archive) as archive:
        return load_tiles(archive, mirror=True, seed=5)


def small(**options):
    return Training(resolve(16, CPU, **{**SMALL, **options}), 2, 16, CPU)


def test_randomness_is_a_function_of_seed_and_images_seen(tiles):
    walked, jumped = small(), small()
    for _ in range(2):
        walked.step(walked.draw(tiles))
    jumped.images_seen = walked.images_seen
    first, second = walked.draw(tiles), jumped.draw(tiles)
    assert torch.equal(first.real, second.real)
    assert torch.equal(first.pl_noise, second.pl_noise)
    for phase in ("g_main", "g_reg", "d_main"):
        assert torch.equal(getattr(first, phase).z, getattr(second, phase).z)
        assert torch.equal(getattr(first, phase).c, getattr(second, phase).c)
    assert not torch.equal(first.g_main.z, small(seed=1).draw(tiles).g_main.z)
    assert not torch.equal(first.g_main.z, first.d_main.z)


def test_construction_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    small()
    assert torch.equal(torch.get_rng_state(), before)


def test_every_epoch_shows_each_tile_and_its_mirror_once(tiles):
    size = 2 * len(tiles.labels)
    epochs = [tiles.reals(start, size)[0] for start in (0, size)]
    both = torch.cat([tiles.images, tiles.images.flip(3)]).float() / 127.5 - 1
    for epoch in epochs:
        assert torch.equal(epoch.flatten(1).sort(dim=0).values, both.flatten(1).sort(dim=0).values)
    assert not torch.equal(*epochs)
    across = tiles.reals(size - 3, 6)[0]
    assert torch.equal(across, torch.cat([epochs[0][-3:], epochs[1][:3]]))


def test_divergence_is_an_error_with_advice(tiles):
    training = small(kimg=0.2, learning_rate=1e12)
    with pytest.raises(TrainingError, match=r"diverged before .* lower learning_rate"):
        list(train(training, tiles, "diverging"))
