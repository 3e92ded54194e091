"""What a training would be: settings resolved from presets, memory counted; and what cannot be meant."""

from dataclasses import asdict

import pytest
import torch

from components.core.data.archive import ImageArchive
from components.core.errors import ConfigError, DataError
from components.core.stylegan2.presets import NAMES as PRESETS
from components.core.stylegan2.presets import resolve_preset
from components.gan_train import losses
from components.gan_train.config import TrainingConfig, for_resume, networks, resolve
from components.gan_train.dataset import load_tiles
from components.gan_train.distributed import ProcessGroup
from components.gan_train.memory import Estimate, LiveBytes
from components.gan_train.setup import settings_of
from components.gan_train.stage import run

CPU = torch.device("cpu")
OPEN = {"batch": 0, "channel_base": 0, "mapping_layers": 0, "gamma": 0.0, "learning_rate": 0.0, "latent_dim": 512}


def test_dry_run_says_everything_and_writes_nothing(toy_archive, tmp_path, capsys):
    paths = {key: str(tmp_path / key) for key in ("snapshots", "page", "metrics", "checkpoint_uri")}
    run(dataset=toy_archive, **paths, preset="paper256", device="cpu", dry_run=True)
    said = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert not list(tmp_path.iterdir())
    assert said["tiles"] == "64 of 16 px"
    assert said["classes"] == "red, blue"
    assert (said["batch"], said["batch_gpu"], said["gamma"], said["mapping_layers"]) == ("64", "8", "1", "8")
    assert "8 micro-batch(es) each" in said["device"]
    assert 0.5 < float(said["memory"].split()[1]) < 1.5
    assert int(said["generator"].split()[0].replace(",", "")) > 10_000_000


def test_the_published_preset_trains_with_classes(make_archive, tmp_path):
    paths = {"dataset": make_archive(labels=()), **{key: tmp_path / key for key in ("snapshots", "page", "metrics")}}
    with pytest.raises(DataError, match="'published' trains with classes and the tiles have none: pack"):
        run(**{name: str(path) for name, path in paths.items()}, preset="published", device="cpu", dry_run=True)


@pytest.mark.parametrize("name", PRESETS)
def test_options_left_open_are_the_presets(options, name):
    rule = resolve_preset(name, 512, 2)
    settings = resolve(options(**OPEN, preset=name, mirror=False), 512, CPU, 2)
    for key, value in asdict(settings).items():
        if hasattr(rule, key):
            assert value == getattr(rule, key), key
    assert settings.symmetry == ("mirror" if name == "published" else "none")
    own = resolve(options(preset=name, pl_weight=0.0, style_mixing=0.0), 16, CPU)
    assert (own.batch, own.gamma, own.pl_weight, own.style_mixing) == (8, 0.1, 0, 0)


def test_a_transfer_moves_ada_faster_and_has_no_ramp(options):
    settings = resolve(options(**OPEN, resume_from="x.pkl"), 64, CPU)
    assert (settings.ada_kimg, settings.ema_rampup) == (100, None)


@pytest.mark.parametrize(
    ("given", "processes", "sentence"),
    [
        ({"batch": 6}, 1, "must be divisible by 4"),
        ({"batch": 1}, 1, "batch is 1"),
        ({"batch_gpu": 3}, 1, "can be 4, 8"),
        ({"batch_gpu": 8}, 2, r"over 2 process\(es\), in groups of 4, it can be 4\."),
        ({"preset": "paper1024x"}, 1, "no preset 'paper1024x'"),
        ({"precision": "fp16"}, 1, "only a GPU computes"),
        ({"precision": "fp8"}, 1, "one of auto, fp32, fp16, bf16"),
        ({"symmetry": "d3"}, 1, "one of none, mirror, d4"),
        ({"augment": "yes"}, 1, "one of ada, noaug, fixed"),
        ({"style_mixing": 1.5}, 1, "is a probability"),
        ({"pl_weight": -2.0}, 1, "at least -1"),
        ({"d_mapping_layers": -1}, 1, "d_mapping_layers is -1"),
        ({"kimg": float("nan")}, 1, "kimg is nan"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(options, given, processes, sentence):
    with pytest.raises(ConfigError, match=sentence) as refused:
        resolve(options(**given), 16, CPU, processes)
    assert "\n" not in str(refused.value)


def test_a_training_goes_on_as_it_began_divided_anew(options):
    begun = resolve(options(batch=0, gamma=0.0, kimg=1.0), 16, CPU, 4)
    assert (begun.batch, begun.batch_gpu) == (64, 16)
    later = for_resume(begun, options(batch=0, gamma=0.0, kimg=2.0), 1)
    assert later == TrainingConfig(**{**asdict(begun), "kimg": 2.0})
    assert for_resume(begun, options(batch_gpu=8), 2).batch_gpu == 8
    assert for_resume(begun, options(), 8).batch_gpu == 8


@pytest.mark.parametrize("augment", ["noaug", "ada"])
def test_memory_is_counted_as_if_it_were_used(options, augment):
    """The count of one phase on the device without values equals that on a CPU, where augmentation is off."""
    settings = resolve(options(channel_base=1024, channel_max=64, augment=augment), 32, CPU)
    estimate = Estimate(settings, 2, 32)
    G, D = networks(settings, 2, 32)
    assert estimate.parameters == tuple(sum(one.numel() for one in network.parameters()) for network in (G, D))
    assert estimate.gb(16) - estimate.gb(12) == pytest.approx(estimate.gb(12) - estimate.gb(8))
    if augment == "ada":
        assert estimate.gb(8) > Estimate(TrainingConfig(**{**asdict(settings), "augment": "noaug"}), 2, 32).gb(8)
        return
    peaks = []
    for device in (CPU, torch.device("meta")):
        D = D.to(device)
        images, c = torch.empty(8, 3, 32, 32, device=device).normal_(), torch.empty(8, 2, device=device).normal_()
        with LiveBytes() as live:
            losses.r1_penalty(D, images, c)[0].mean().backward()
        D.zero_grad(set_to_none=True)
        peaks.append(live.peak)
        assert live.now <= live.peak / 20  # everything is let go again
    assert peaks[0] == pytest.approx(peaks[1], rel=0.05)


def test_micro_batch_fills_the_memory_that_is_given(options, toy_archive):
    with ImageArchive(toy_archive) as archive:
        tiles = load_tiles(archive)
    given = {"batch": 64, "channel_base": 2048, "channel_max": 128}
    estimate = Estimate(resolve(options(**given), 16, CPU), 2, 16)
    for size in (8, 32):
        enough = (estimate.gb(size) + estimate.gb(2 * size)) / 2
        asked = options(**given, memory_gb=enough)
        assert settings_of(asked, tiles, ProcessGroup(), CPU, None).batch_gpu == size
    with pytest.raises(ConfigError, match="the smallest micro-batch, 4, takes about"):
        settings_of(options(**given, memory_gb=1e-3), tiles, ProcessGroup(), CPU, None)
