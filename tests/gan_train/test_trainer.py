"""The training's step against the original's, its moving average, and the origin of its randomness."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from components.core.data.archive import ImageArchive
from components.gan_train.config import resolve
from components.gan_train.dataset import InfiniteSampler, load_tiles
from components.gan_train.losses import Latents, no_augmentation
from components.gan_train.random_inputs import MicroBatch
from components.gan_train.trainer import GRADIENT_LIMIT, GanTrainer, ema_beta, sanitize

CPU = torch.device("cpu")
GOLDEN = {
    "batch": 8,
    "channel_base": 1024,
    "channel_max": 64,
    "mapping_layers": 8,
    "latent_dim": 64,
    "gamma": 0.5,
    "learning_rate": 0.0025,
    "ema_kimg": 20.0,
    "augment": "noaug",
}


class Recorded:
    """The original's draws of one iteration."""

    def __init__(self, phases, iteration):
        self.phases, self.iteration = phases, iteration

    def latents(self, phase, part):
        name = {"g_main": "Gmain", "g_reg": "Greg", "d_main": "Dmain"}[phase]
        n = 4 if phase == "g_reg" else 8
        z = np.roll(self.phases[f"z/{name}"], self.iteration, axis=0)
        return Latents(*(torch.tensor(one[:n])[part.samples] for one in (z, self.phases[f"c/{name}"])))

    def real(self, part):
        return tuple(torch.tensor(self.phases[key])[part.samples] for key in ("real", "real_c"))

    def pl_noise(self, part):
        return torch.tensor(self.phases["pl_noise_unit"])[part.samples]

    def view(self, call, part):
        return no_augmentation


@pytest.mark.parametrize("batch_gpu", [8, 4])
def test_two_iterations_equal_the_original(golden, options, batch_gpu):
    """In one piece, and accumulated over two micro-batches, whose groups and means are those of the batch."""
    data, phases, critic = golden("train_step"), golden("loss_phases_nomix"), golden("discriminator")
    settings = replace(resolve(options(**GOLDEN, batch_gpu=batch_gpu), 0, 32, CPU), ema_rampup=None)
    training = GanTrainer(settings, 2, 32, CPU)
    for network, state in (
        (training.G, golden("generator")),
        (training.G_ema, golden("generator")),
        (training.D, critic),
    ):
        network.load_state_dict({k.removeprefix("sd/"): torch.tensor(v) for k, v in state.items() if k[:3] == "sd/"})
    training.images_seen = int(data["cur_nimg"])
    for iteration in range(2):
        measured = training.step(Recorded(phases, iteration))
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
            assert difference.max() <= 2 * 2 * GOLDEN["learning_rate"], key
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
        return load_tiles(archive)


@pytest.fixture
def small(options):
    def make(seed=0, **given):
        return GanTrainer(resolve(options(channel_base=128, channel_max=8, **given), seed, 16, CPU), 2, 16, CPU)

    return make


def order_of(tiles, **options):
    return InfiniteSampler(tiles.labels, tiles.c_dim, **{"symmetry": "mirror", "balanced": False, "seed": 0, **options})


def draw_inputs(training, tiles, part=MicroBatch()):  # noqa: B008
    """Everything random in the next iteration of a part."""
    draws = training.draw(tiles, order_of(tiles))
    found = {"real": draws.real(part)[0], "pl_noise": draws.pl_noise(part)}
    for phase in ("g_main", "g_reg", "d_main"):
        latents = draws.latents(phase, part)
        found |= {f"{phase}.z": latents.z, f"{phase}.c": latents.c}
        found |= {f"{phase}.{name}": one for name, one in latents.noise.items()}
    for call in ("g_main", "fake", "real", "r1"):
        view = draws.view(call, part)
        found |= {f"{call}.theta": view.how.warp.theta, f"{call}.colour": view.how.colour}
    return found


def test_randomness_is_a_function_of_seed_and_images_seen(tiles, small):
    walked, jumped = small(augment_p=0.5), small(augment_p=0.5)
    for _ in range(2):
        walked.step(walked.draw(tiles, order_of(tiles)))
    jumped.images_seen = walked.images_seen
    jumped.pipe.p.copy_(walked.pipe.p)
    first, second, other = (
        draw_inputs(walked, tiles),
        draw_inputs(jumped, tiles),
        draw_inputs(small(seed=1, augment_p=0.5), tiles),
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if not name.endswith(".c"))
    assert not torch.equal(first["g_main.z"], first["d_main.z"])
    assert not torch.equal(first["real.theta"], first["r1.theta"])


def test_parts_take_shares_of_what_the_batch_draws(tiles, small):
    training = small(augment_p=0.5)
    whole, parts = (
        draw_inputs(training, tiles),
        [draw_inputs(training, tiles, MicroBatch(index, 2)) for index in range(2)],
    )
    for name, one in whole.items():
        if not name.endswith("theta"):  # whose scale follows from its part's margins
            assert torch.equal(one[0::2], parts[0][name]), name
            assert torch.equal(one[1::2], parts[1][name]), name


def test_parts_have_the_gradient_of_the_batch(tiles, small):
    """In every phase, augmentation and path length included, whatever the size of the parts."""
    found = []
    for batch_gpu in (8, 4):
        training, gradients = small(batch_gpu=batch_gpu, augment_p=0.5), {}
        for name in ("optimizer_g", "optimizer_d"):
            optimizer = getattr(training, name)
            optimizer.step = lambda name=name, optimizer=optimizer, kept=gradients: kept.setdefault(name, []).append(
                [one.grad.clone() for group in optimizer.param_groups for one in group["params"]]
            )
        measured = training.step(training.draw(tiles, order_of(tiles)))
        found.append((gradients, training.G.mapping.w_avg, training.pl_mean, measured))
    whole, parts = found
    for name in ("optimizer_g", "optimizer_d"):
        for one, other in zip(whole[0][name], parts[0][name], strict=True):
            one, other = (torch.cat([gradient.flatten() for gradient in side]) for side in (one, other))
            assert (one - other).norm() < 1e-5 * one.norm()
    torch.testing.assert_close(whole[1:], parts[1:], rtol=1e-4, atol=1e-6)


def test_construction_leaves_the_global_random_state_alone(small):
    before = torch.get_rng_state()
    small()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("given", "absent"),
    [({"pl_weight": 0.0}, "path_length"), ({}, None)],
)
def test_regularisation_runs_where_it_has_weight(tiles, small, given, absent):
    measured = small(**given).step(small(**given).draw(tiles, order_of(tiles)))
    assert {"path_length", "r1_penalty"} - set(measured) == {absent} - {None}


def test_frozen_layers_stay(tiles, small):
    training = small(freeze_d=3)
    before = {name: one.clone() for name, one in training.D.state_dict().items()}
    training.step(training.draw(tiles, order_of(tiles)))
    after = training.D.state_dict()
    frozen = [name for name in before if name.startswith(("b16.fromrgb", "b16.conv0", "b16.conv1"))]
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert not torch.equal(before["b16.skip.weight"], after["b16.skip.weight"])
    assert not torch.equal(before["b8.conv0.weight"], after["b8.conv0.weight"])


def test_gradients_are_made_finite_and_counted():
    gradients = [torch.tensor([1.0, float("nan")]), torch.tensor([[float("inf"), float("-inf")]])]
    assert sanitize(gradients)[0] == 1
    assert gradients[0].tolist() == [1, 0]
    assert gradients[1].tolist() == [[GRADIENT_LIMIT, -GRADIENT_LIMIT]]
    assert sanitize(gradients)[0] == 0
