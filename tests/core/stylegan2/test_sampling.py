"""Images from seeds: the official latents, the official pixels, and no dependence on the batch."""

import numpy as np
import pytest
import torch

from components.core.errors import ConfigError
from components.core.stylegan2 import Generator
from components.core.stylegan2.centres import class_centres
from components.core.stylegan2.sampling import generate_images, latents, parse_seeds, to_uint8


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


def test_centres_take_the_place_of_the_mean(generator, data):
    seeds, classes = data["seeds"], data["labels"].argmax(1)

    def drawn(**options):
        return np.stack(list(generate_images(generator, seeds, classes, **options))).astype(int)

    mean = generator.mapping.w_avg.expand(2, -1)
    assert np.abs(drawn(psi=0.7, centres=mean) - data["uint8_const_psi0.7"]).max() <= 1
    centres = class_centres(generator, per_class=50)
    assert np.array_equal(drawn(psi=1.0, centres=centres), drawn(psi=1.0))
    at_centres = drawn(psi=0.0, centres=centres)
    for kind in (0, 1):
        with torch.no_grad():
            w = centres[kind].expand(1, generator.num_ws, -1)
            wanted = to_uint8(generator.synthesis(w, noise_mode="const"))[0].astype(int)
        assert (classes == kind).any()
        assert np.abs(at_centres[classes == kind] - wanted).max() <= 1


def test_seeds_are_written_as_people_write_them():
    assert parse_seeds("1,2,5-10") == [1, 2, 5, 6, 7, 8, 9, 10]
    assert parse_seeds(" 7 , 3-3,0,2-4") == [7, 3, 0, 2, 4]
    assert parse_seeds("4294967295") == [4294967295]


@pytest.mark.parametrize("text", ["", " ", "5-1", "1,,2", "-1", "1-", "a", "1.5", "4294967296", "0-99999999999", "1;2"])
def test_no_seeds_are_an_error(text):
    with pytest.raises(ConfigError, match=r"gives no seeds: write numbers from 0 to 4294967295 as in 1,2,5-10"):
        parse_seeds(text)


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
    with pytest.raises(ConfigError, match=r"centres are \[3, 64\], but the generator needs \[2, 64\]"):
        list(generate_images(generator, [0], [1], centres=torch.zeros(3, 64)))
