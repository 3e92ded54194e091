"""The losses of all phases against the original's numbers, parameter gradients included."""

import numpy as np
import pytest
import torch

from components.core.stylegan2 import Discriminator, Generator
from components.core.stylegan2.augment.draws import Random
from components.core.stylegan2.augment.pipe import AugmentPipe
from components.gan_train.losses import (
    Augmented,
    Latents,
    fake_loss,
    generator_loss,
    map_latents,
    path_lengths,
    path_penalty,
    r1_penalty,
    real_loss,
    synthesize,
)
from components.gan_train.trainer import D_INTERVAL, G_INTERVAL

PATH_LENGTH_WEIGHT = 2
FIRST_ORDER = 3e-4  # relative; our float64 differs from the numbers by as much, so it is their own rounding


def load(network, data):
    state = {key.removeprefix("sd/"): torch.tensor(value) for key, value in data.items() if key.startswith("sd/")}
    network.load_state_dict(state)
    return network.train()


@pytest.fixture
def networks(golden):
    G = Generator(64, 2, 64, 32, channel_base=1024, channel_max=64)
    D = Discriminator(2, 32, channel_base=1024, channel_max=64)
    return load(G, golden("generator")), load(D, golden("discriminator"))


def check_gradients(network, data, prefix, rtol):
    """Norms of all gradients, and full gradients where they are given."""
    checked = 0
    for name, parameter in network.named_parameters():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        expected = data.get(f"{prefix}gradnorm/{name}")
        if expected is not None and np.isfinite(expected):
            tolerance = max(rtol, 3e-3) if parameter.ndim == 0 else rtol
            np.testing.assert_allclose(gradient.norm(), expected, rtol=tolerance, atol=1e-6, err_msg=name)
            checked += 1
        full = data.get(f"{prefix}grad/{name}")
        if full is not None and full.size == gradient.numel():
            difference = np.linalg.norm(gradient.numpy() - full)
            tolerance = max(rtol, 3e-3) if parameter.ndim == 0 else rtol
            assert difference <= tolerance * np.linalg.norm(full) + 1e-6, name
            checked += 1
    assert checked > 20


def phase_latents(data, phase, n=8):
    z, c = torch.tensor(data[f"z/{phase}"]), torch.tensor(data[f"c/{phase}"])
    if f"zmix/{phase}" not in data:
        return Latents(z[:n], c[:n])
    return Latents(z[:n], c[:n], torch.tensor(data[f"zmix/{phase}"])[:n], int(data[f"cutoff/{phase}"]))


@pytest.mark.parametrize("name", ["loss_phases_mix", "loss_phases_nomix"])
class TestPhases:
    def test_generator(self, golden, networks, name):
        data, (G, D) = golden(name), networks
        D.requires_grad_(False)
        loss, logits = generator_loss(G, D, phase_latents(data, "Gmain"))
        loss.backward()
        np.testing.assert_allclose(logits, data["Gmain/report/Loss/scores/fake/0"], atol=3e-5)
        np.testing.assert_allclose(loss.detach(), data["Gmain/report/Loss/G/loss/0"].mean(), rtol=1e-5)
        np.testing.assert_allclose(G.mapping.w_avg, data["Gmain/w_avg_after"], atol=1e-6)
        check_gradients(G, data, "Gmain/", rtol=FIRST_ORDER)

    def test_path_length(self, golden, networks, name):
        data, (G, _) = golden(name), networks
        lengths = path_lengths(G, phase_latents(data, "Greg", 4), torch.tensor(data["pl_noise_unit"]))
        penalty, moved = path_penalty(lengths, torch.tensor(float(data["pl_mean_init"])))
        (penalty.mean() * PATH_LENGTH_WEIGHT * G_INTERVAL).backward()
        np.testing.assert_allclose(penalty.detach(), data["Greg/report/Loss/pl_penalty/0"], rtol=1e-3)
        np.testing.assert_allclose(moved, data["Greg/pl_mean_after"], rtol=1e-4)
        np.testing.assert_allclose(G.mapping.w_avg, data["Greg/w_avg_after"], atol=1e-6)
        check_gradients(G, data, "Greg/", rtol=1e-3)

    def test_discriminator(self, golden, networks, name):
        data, (G, D) = golden(name), networks
        fake, fake_logits = fake_loss(G, D, phase_latents(data, "Dmain"))
        real, real_logits = real_loss(D, torch.tensor(data["real"]), torch.tensor(data["real_c"]))
        fake.backward()
        real.backward()
        np.testing.assert_allclose(fake_logits, data["Dmain/report/Loss/scores/fake/0"], atol=3e-5)
        np.testing.assert_allclose(real_logits, data["Dmain/report/Loss/scores/real/0"], atol=1e-5)
        expected = data["Dmain/report/Loss/D/loss/0"].mean()
        np.testing.assert_allclose((fake + real).detach(), expected, rtol=1e-5)
        np.testing.assert_allclose(G.mapping.w_avg, data["Dmain/w_avg_after"], atol=1e-6)
        check_gradients(D, data, "Dmain/", rtol=FIRST_ORDER)

    def test_r1(self, golden, networks, name):
        data, (_, D) = golden(name), networks
        penalty, _ = r1_penalty(D, torch.tensor(data["real"]), torch.tensor(data["real_c"]))
        (penalty.mean() * float(data["r1_gamma"]) / 2 * D_INTERVAL).backward()
        np.testing.assert_allclose(penalty.detach(), data["Dreg/report/Loss/r1_penalty/0"], rtol=1e-3)
        check_gradients(D, data, "Dreg/", rtol=1e-3)


def test_path_length_alone(golden, networks):
    data, (G, _) = golden("path_length"), networks
    G.eval()
    latents = Latents(torch.tensor(data["z"]), torch.tensor(data["labels"]))
    lengths = path_lengths(G, latents, torch.tensor(data["pl_noise_unit"]))
    penalty, moved = path_penalty(lengths, torch.tensor(float(data["pl_mean_before"])))
    loss = penalty.mean() * PATH_LENGTH_WEIGHT
    loss.backward()
    np.testing.assert_allclose(lengths.detach(), data["pl_lengths"], rtol=1e-4)
    np.testing.assert_allclose(moved, data["pl_mean_after"], rtol=1e-4)
    np.testing.assert_allclose(penalty.detach(), data["pl_penalty"], rtol=1e-3)
    np.testing.assert_allclose(loss.detach(), data["loss"], rtol=1e-3)
    check_gradients(G, data, "", rtol=1e-3)


def test_r1_alone(golden, networks):
    data, (_, D) = golden("discriminator"), networks
    penalty, _ = r1_penalty(D, torch.tensor(data["images"]), torch.tensor(data["labels"]))
    loss = penalty.mean() * float(data["gamma"]) / 2
    loss.backward()
    np.testing.assert_allclose(penalty.detach(), data["r1_penalty"], rtol=1e-3)
    np.testing.assert_allclose(loss.detach(), data["r1_loss"], rtol=1e-3)
    check_gradients(D, data, "r1_", rtol=1e-3)


def test_mixing_replaces_ws_from_the_cutoff_on(networks):
    G = networks[0].eval()
    z = torch.randn(2, 2, 64, generator=torch.Generator().manual_seed(0))
    c = torch.eye(2)
    mixed = map_latents(G, Latents(z[0], c, z[1], cutoff=3))
    assert torch.equal(mixed[:, :3], G.mapping(z[0], c)[:, :3])
    assert torch.equal(mixed[:, 3:], G.mapping(z[1], c)[:, 3:])


def test_noise_takes_the_place_of_the_stored_one(networks):
    """Each sample's own, where the layer would have drawn it."""
    G = networks[0]
    ws = torch.randn(2, G.num_ws, 64, generator=torch.Generator().manual_seed(0))
    stored = {name: one for name, one in G.synthesis.named_buffers() if name.endswith("noise_const")}
    rng = torch.Generator().manual_seed(1)
    fresh = {name: torch.randn(2, 1, *one.shape, generator=rng) for name, one in stored.items()}
    before = {name: one.clone() for name, one in stored.items()}
    with torch.no_grad():
        images = synthesize(G, ws, fresh)
        for sample in range(2):
            for name, one in stored.items():
                one.copy_(fresh[name][sample, 0])
            expected = G.synthesis(ws[sample : sample + 1], noise_mode="const")
            torch.testing.assert_close(images[sample : sample + 1], expected, atol=1e-5, rtol=1e-5)
            assert not torch.allclose(images[1 - sample : 2 - sample], expected, atol=1e-2)
        for name, one in stored.items():
            one.copy_(before[name])
        assert torch.equal(synthesize(G, ws, None), G.synthesis(ws, noise_mode="const"))


def test_path_penalty_of_parts_is_that_of_the_batch():
    """Against autograd through the formula of the paper, the moving mean included."""
    lengths = torch.rand(6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    mean = torch.tensor(0.3, dtype=torch.float64)
    moved = mean + (lengths.mean() - mean) * 0.01
    (expected,) = torch.autograd.grad((lengths - moved).square().mean(), lengths)
    batch_mean, found = lengths.detach().mean(), []
    for part in (slice(0, None, 2), slice(1, None, 2)):
        own = lengths.detach()[part].requires_grad_()
        penalty, moved_too = path_penalty(own, mean, batch_mean)
        assert torch.allclose(moved_too, moved)
        torch.testing.assert_close(penalty, (lengths - moved).square()[part])
        found.append(torch.autograd.grad(penalty.mean() / 2, own)[0])
    torch.testing.assert_close(torch.stack(found, dim=1).flatten(), expected)


@pytest.mark.parametrize("p", [0.0, 0.8])
def test_r1_differentiates_through_the_augmentation(networks, golden, p):
    """Against autograd's own second derivative, with respect to the images before augmentation."""
    D, data = networks[1], golden("discriminator")
    images, c = torch.tensor(data["images"][:4]), torch.tensor(data["labels"][:4])
    pipe = AugmentPipe("bgc")
    pipe.p.fill_(p)
    view = Augmented(pipe, pipe.draw(images, Random(torch.Generator().manual_seed(0))))
    penalty, logits = r1_penalty(D, images, c, view)
    torch.testing.assert_close(logits, D(view(images), c).detach())
    leaf = images.clone().requires_grad_()
    (slope,) = torch.autograd.grad(D(view(leaf), c).sum(), leaf, create_graph=True)
    expected = slope.square().sum(dim=(1, 2, 3))
    torch.testing.assert_close(penalty, expected)
    parameters = list(D.parameters())
    found, wanted = (torch.autograd.grad(one.mean(), parameters, allow_unused=True) for one in (penalty, expected))
    torch.testing.assert_close(found, wanted)
