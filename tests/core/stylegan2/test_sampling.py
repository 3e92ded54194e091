"""Images from seeds: the official latents, the official pixels, and no dependence on the batch."""

import numpy as np
import pytest
import torch

from components.core.errors import ConfigError
from components.core.stylegan2 import Generator
from components.core.stylegan2.sampling import generate_images, latents, to_uint8


@pytest.fixture(scope="module")
def data(golden):
    return golden("generator")


@pytest.fixture(scope="module")
def generator(data):
    network = Generator(64, 2, 64, 32, channel_base=1024, channel_max=64)
    state = {key.removeprefix("sd/"): torch.tensor(value) for key, value in data.items() if key.startswith("sd/")}
    network.load_state_dict(state)
    return network


def test_latents_are_the_official_ones(data):
    np.testing.assert_array_equal(latents(data["seeds"], 64), data["z"])


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_images_do_not_depend_on_the_batch(generator, data, batch):
    images = list(generate_images(generator, data["seeds"], data["labels"].argmax(1), psi=0.7, batch=batch))
    difference = np.abs(np.stack(images).astype(int) - data["uint8_const_psi0.7"])
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.001


def test_pixels_are_truncated_not_rounded():
    grey = torch.tensor([-2.0, -1.0, 0.0, 0.0077, 1.0, 2.0])  # 0.0077 · 127.5 + 128 = 128.98
    pixels = to_uint8(grey.view(-1, 1, 1, 1))
    assert pixels.shape == (6, 1, 1, 3)
    assert pixels[:, 0, 0, 0].tolist() == [0, 0, 128, 128, 255, 255]


def test_random_noise_is_seeded(generator):
    first, second = (list(generate_images(generator, [3, 4], [0, 1], noise_mode="random")) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_unconditional_networks_look_at_no_class():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Generator(8, 0, 8, 8, channel_base=64, channel_max=8)
    images = [next(generate_images(network, [5], [kind])) for kind in (0, 7)]
    np.testing.assert_array_equal(*images)


def test_bad_requests_are_refused(generator):
    with pytest.raises(ConfigError, match="classes 0 to 1"):
        list(generate_images(generator, [0], [2]))
    with pytest.raises(ConfigError, match="one class per seed"):
        list(generate_images(generator, [0, 1], [1]))
