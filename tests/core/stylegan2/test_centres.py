"""Class centres, and truncation towards them."""

import numpy as np
import pytest
import torch

from components.core.errors import ConfigError
from components.core.stylegan2 import Generator
from components.core.stylegan2.centres import class_centres


@pytest.fixture
def generator():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Generator(16, 3, 8, 8, channel_base=64, channel_max=8, mapping_layers=2).eval()


def test_a_centre_is_the_mean_of_its_class_alone(generator):
    centres = class_centres(generator, per_class=4000, seed=1)
    assert centres.shape == (3, 8)
    z = torch.from_numpy(np.random.default_rng(7).standard_normal((4000, 16)))
    for index, centre in enumerate(centres):
        w = generator.mapping(z, torch.eye(3)[index].expand(4000, -1))[:, 0].detach()
        assert (centre - w.mean(dim=0)).norm() < 5 * (w.var(dim=0).sum() * 2 / 4000).sqrt()
    nearest = torch.cdist(centres, centres) + torch.eye(3) * 9
    assert nearest.min() > 10 * (w.var(dim=0).sum() / 4000).sqrt()  # else any mean would have passed


def test_centres_follow_their_seed_and_leave_the_generator_as_it_was(generator):
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    first = class_centres(generator.train(), per_class=1500, seed=1)
    assert torch.equal(first, class_centres(generator, per_class=1500, seed=1))
    assert not torch.equal(first, class_centres(generator, per_class=1500, seed=2))
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


def test_truncation_goes_towards_the_centre_of_each_image(generator):
    centres = class_centres(generator, per_class=100)
    z, c = torch.randn(4, 16, generator=torch.Generator().manual_seed(0)), torch.eye(3)[[2, 0, 1, 2]]
    ws = generator.mapping(z, c)
    ours = generator.mapping(z, c, truncation_psi=0.25, truncation_cutoff=2, truncation_centre=c @ centres)
    for index, label in enumerate([2, 0, 1, 2]):
        expected = centres[label] + 0.25 * (ws[index, :2] - centres[label])
        np.testing.assert_allclose(ours[index, :2].detach(), expected.detach(), atol=1e-5)
    assert torch.equal(ours[:, 2:], ws[:, 2:])
    for centre in (centres[1], centres[1].expand(4, -1)):
        images = generator(z, c, truncation_psi=0, truncation_centre=centre, noise_mode="none").detach()
        np.testing.assert_allclose(images, images[:1].expand_as(images), atol=1e-5)


def test_an_unconditional_generator_has_no_centres():
    with pytest.raises(ConfigError, match="truncate towards its w_avg"):
        class_centres(Generator(8, 0, 8, 8, channel_base=64, channel_max=8))
