"""Transfer: what fits is copied to the bit, what does not is said, and equal weights draw equal images."""

import numpy as np
import pytest
import torch

from components.core.errors import DataError
from components.core.io.atomic_files import write_json
from components.core.protocol.lineage import Lineage
from components.core.stylegan2 import Discriminator, Generator
from components.core.stylegan2.snapshot import save_snapshot
from components.core.stylegan2.transfer import read_start, transfer

WIDTH = {"channel_base": 128, "channel_max": 16}


def generator(c_dim, seed, resolution=8, z_dim=8, layers=2):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Generator(z_dim, c_dim, 8, resolution, mapping_layers=layers, **WIDTH).eval()


def discriminator(c_dim, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Discriminator(c_dim, 8, mapping_layers=2, **WIDTH).eval()


def drawn(G, c_dim, label=0):
    z = torch.from_numpy(np.random.RandomState(0).randn(3, 8)).float()
    c = torch.eye(max(c_dim, 1))[[label] * 3][:, :c_dim]
    with torch.no_grad():
        return G(z, c, noise_mode="const")


@pytest.mark.parametrize("c_dim", [0, 3])
def test_equal_networks_become_equal(c_dim):
    old, new = generator(c_dim, 0), generator(c_dim, 1)
    done = transfer(old.state_dict(), new)
    assert (done.adapted, done.fresh, done.left) == ([], [], [])
    assert torch.equal(drawn(old, c_dim), drawn(new, c_dim))


def test_an_unconditional_network_is_what_every_class_begins_with():
    old, new = generator(0, 0), generator(3, 1)
    done = transfer(old.state_dict(), new)
    assert done.adapted == ["mapping.fc0.weight"]
    assert sorted(done.fresh) == ["mapping.embed.bias", "mapping.embed.weight"]
    for label in range(3):
        torch.testing.assert_close(drawn(new, 3, label), drawn(old, 0))


@pytest.mark.parametrize("c_dim", [0, 5])
def test_other_class_counts_keep_what_is_not_of_labels(c_dim):
    old, new = generator(3, 0), generator(c_dim, 1)
    before = {name: value.clone() for name, value in new.state_dict().items()}
    done = transfer(old.state_dict(), new)
    assert done.adapted == ["mapping.fc0.weight"]
    first = new.state_dict()["mapping.fc0.weight"]
    ours, theirs = (one.mapping.fc0.weight[:, :8] / one.mapping.fc0.weight.shape[1] ** 0.5 for one in (new, old))
    torch.testing.assert_close(ours, theirs)  # as the layer uses them
    assert not first[:, 8:].any()
    for name, value in new.state_dict().items():
        if name.startswith("mapping.embed"):
            assert torch.equal(value, before[name])
        elif name != "mapping.fc0.weight":
            assert torch.equal(value, old.state_dict()[name])
    assert done.left == ([] if c_dim else ["mapping.embed.bias", "mapping.embed.weight"])


def test_a_larger_network_takes_the_small_ones_blocks():
    old, new = generator(2, 0), generator(2, 1, resolution=16)
    done = transfer(old.state_dict(), new)
    assert {name.split(".")[1] for name in done.fresh} == {"b16"}
    assert torch.equal(new.synthesis.b8.conv0.weight, old.synthesis.b8.conv0.weight)


def test_another_latent_length_leaves_the_first_layer():
    new = generator(3, 1, z_dim=16)
    before = new.mapping.fc0.weight.clone()
    done = transfer(generator(2, 0).state_dict(), new)
    assert "mapping.fc0.weight" in done.fresh
    assert torch.equal(new.mapping.fc0.weight, before)


def test_a_discriminator_of_other_classes_embeds_them_anew():
    old, new = discriminator(2, 0), discriminator(4, 1)
    done = transfer(old.state_dict(), new)
    assert sorted(done.fresh) == ["mapping.embed.bias", "mapping.embed.weight"]
    assert torch.equal(new.b4.conv.weight, old.b4.conv.weight)
    assert "tensors copied" in str(done)
    assert "mapping.embed" in str(done)


def test_a_snapshot_is_read_with_its_lineage(tmp_path):
    G = generator(2, 0)
    save_snapshot(tmp_path / "network-snapshot-000001.safetensors", G, 1.0)
    start = read_start(tmp_path / "network-snapshot-000001.safetensors")
    assert (start.lineage, start.D) == (None, None)
    assert all(torch.equal(value, start.G[name]) for name, value in G.state_dict().items())
    own = Lineage("k", "p", "0", "binary", ["k-1"])
    write_json(tmp_path / "lineage.json", own.to_dict())
    assert read_start(tmp_path / "network-snapshot-000001.safetensors").lineage == own


def test_other_files_are_refused(tmp_path):
    (tmp_path / "G.pt").write_bytes(b"x")
    with pytest.raises(DataError, match=r"G\.pt is not a network"):
        read_start(tmp_path / "G.pt")
