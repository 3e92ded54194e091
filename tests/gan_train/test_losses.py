"""The losses of all phases against the original's numbers, parameter gradients included."""

import numpy as np
import pytest
import torch

from components.core.stylegan2 import Discriminator, Generator
from components.gan_train.loop import D_INTERVAL, G_INTERVAL
from components.gan_train.losses import (
    PATH_LENGTH_WEIGHT,
    Latents,
    fake_loss,
    generator_loss,
    map_latents,
    path_lengths,
    path_penalty,
    r1_penalty,
    real_loss,
)

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
        loss, logits = generator_loss(G, D, phase_latents(data, "Gmain"), None)
        loss.backward()
        np.testing.assert_allclose(logits, data["Gmain/report/Loss/scores/fake/0"], atol=3e-5)
        np.testing.assert_allclose(loss.detach(), data["Gmain/report/Loss/G/loss/0"].mean(), rtol=1e-5)
        np.testing.assert_allclose(G.mapping.w_avg, data["Gmain/w_avg_after"], atol=1e-6)
        check_gradients(G, data, "Gmain/", rtol=FIRST_ORDER)

    def test_path_length(self, golden, networks, name):
        data, (G, _) = golden(name), networks
        lengths = path_lengths(G, phase_latents(data, "Greg", 4), torch.tensor(data["pl_noise_unit"]), None)
        penalty, moved = path_penalty(lengths, torch.tensor(float(data["pl_mean_init"])))
        (penalty.mean() * PATH_LENGTH_WEIGHT * G_INTERVAL).backward()
        np.testing.assert_allclose(penalty.detach(), data["Greg/report/Loss/pl_penalty/0"], rtol=1e-3)
        np.testing.assert_allclose(moved, data["Greg/pl_mean_after"], rtol=1e-4)
        np.testing.assert_allclose(G.mapping.w_avg, data["Greg/w_avg_after"], atol=1e-6)
        check_gradients(G, data, "Greg/", rtol=1e-3)

    def test_discriminator(self, golden, networks, name):
        data, (G, D) = golden(name), networks
        fake, fake_logits = fake_loss(G, D, phase_latents(data, "Dmain"), None)
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
        penalty = r1_penalty(D, torch.tensor(data["real"]), torch.tensor(data["real_c"]))
        (penalty.mean() * float(data["r1_gamma"]) / 2 * D_INTERVAL).backward()
        np.testing.assert_allclose(penalty.detach(), data["Dreg/report/Loss/r1_penalty/0"], rtol=1e-3)
        check_gradients(D, data, "Dreg/", rtol=1e-3)


def test_path_length_alone(golden, networks):
    data, (G, _) = golden("path_length"), networks
    G.eval()
    latents = Latents(torch.tensor(data["z"]), torch.tensor(data["labels"]))
    lengths = path_lengths(G, latents, torch.tensor(data["pl_noise_unit"]), None)
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
    penalty = r1_penalty(D, torch.tensor(data["images"]), torch.tensor(data["labels"]))
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
