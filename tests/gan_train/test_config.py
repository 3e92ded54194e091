"""Options resolved by presets, the memory estimate, and refusals of options that contradict one another."""

import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from components.core.data.archive import ImageArchive
from components.core.errors import ConfigError, DataError
from components.core.options.fields import describe_options
from components.core.options.parse import parse
from components.core.stylegan2.augment.transforms import PRESETS as PIPES
from components.core.stylegan2.presets import NAMES as PRESETS
from components.core.stylegan2.presets import resolve_preset
from components.gan_train import ada, losses
from components.gan_train import options as gan_options
from components.gan_train.config import TrainingConfig, for_resume, networks, resolve, resume_identity, upgrade_identity
from components.gan_train.dataset import ORIENTATIONS, load_tiles
from components.gan_train.distributed import ProcessGroup
from components.gan_train.memory import LiveBytes, MemoryEstimate
from components.gan_train.options import GanOptions
from components.gan_train.setup import training_config

sys.path.insert(0, str(Path(__file__).parent))
from trainings import train

CPU = torch.device("cpu")
TOY = {"batch": 8, "channel_base": 256, "channel_max": 32, "mapping_layers": 2, "latent_dim": 16, "gamma": 0.1}
OPEN = {**dict.fromkeys(("batch", "channel_base", "mapping_layers", "gamma", "learning_rate")), "latent_dim": 512}


def test_dry_run_says_everything_and_writes_nothing(toy_archive, tmp_path, capsys):
    train(
        toy_archive,
        tmp_path,
        preset="paper256",
        device="cpu",
        dry_run=True,
        checkpoint_uri=str(tmp_path / "checkpoints"),
    )
    said = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert not list(tmp_path.iterdir())
    assert said["tiles"] == "64 of 16 px"
    assert said["classes"] == "red, blue"
    assert (said["batch"], said["batch_gpu"], said["gamma"], said["mapping_layers"]) == ("64", "8", "1", "8")
    assert "8 micro-batch(es) each" in said["device"]
    assert 0.5 < float(said["memory"].split()[1]) < 1.5
    assert int(said["generator"].split()[0].replace(",", "")) > 10_000_000


def test_the_published_preset_trains_with_classes(make_archive, tmp_path):
    with pytest.raises(DataError, match="'published' trains with classes and the tiles have none: pack"):
        train(make_archive(labels=()), tmp_path, preset="published", device="cpu", dry_run=True)


@pytest.mark.parametrize("name", PRESETS)
def test_options_left_open_are_the_presets(options, name):
    rule = resolve_preset(name, 512, 2)
    config = resolve(options(**OPEN, preset=name, symmetry="none"), 0, 512, CPU, 2)
    for key, value in asdict(config).items():
        if hasattr(rule, key):
            assert value == getattr(rule, key), key
    assert config.symmetry == "none"
    assert resolve(options(preset=name), 0, 16, CPU).symmetry == "mirror"
    stated = resolve(options(preset=name, pl_weight=0.0, style_mixing=0.0), 0, 16, CPU)
    assert (stated.batch, stated.gamma, stated.pl_weight, stated.style_mixing) == (8, 0.1, 0, 0)


def test_the_choices_are_those_of_the_modules_that_act_on_them():
    assert gan_options.PRESETS == PRESETS
    assert tuple(PIPES) == gan_options.PIPES
    infos = {info.name: info for info in describe_options(GanOptions)}
    assert infos["symmetry"].choices == tuple(ORIENTATIONS)
    assert infos["augment"].choices == ada.MODES


def test_a_transfer_moves_ada_faster_and_has_no_ramp(options):
    config = resolve(options(**OPEN, resume_from="x.pkl"), 0, 64, CPU)
    assert (config.ada_kimg, config.ema_rampup) == (100, None)


@pytest.mark.parametrize(
    ("given", "processes", "sentence"),
    [
        ({"batch": 6}, 1, "must be divisible by 4"),
        ({"batch": 1}, 1, "batch is 1"),
        ({"batch_gpu": 3}, 1, "can be 4, 8"),
        ({"batch_gpu": 8}, 2, r"over 2 process\(es\), in groups of 4, it can be 4\."),
        ({"preset": "paper1024x"}, 1, "preset is 'paper1024x': give one of auto, stylegan2"),
        ({"precision": "fp16"}, 1, "only a GPU computes"),
        ({"precision": "fp8"}, 1, "one of auto, fp32, fp16, bf16"),
        ({"symmetry": "d3"}, 1, "one of none, mirror, d4"),
        ({"augment": "yes"}, 1, "one of ada, noaug, fixed"),
        ({"style_mixing": 1.5}, 1, "style_mixing is 1.5: give a number, 0 to 1"),
        ({"pl_weight": -2.0}, 1, "at least 0"),
        ({"d_mapping_layers": -1}, 1, "d_mapping_layers is -1"),
        ({"kimg": float("nan")}, 1, "kimg is nan"),
    ],
)
def test_a_refusal_is_one_sentence(given, processes, sentence):
    with pytest.raises(ConfigError, match=sentence) as refused:
        resolve(parse(GanOptions, {**TOY, **given}, "gan"), 0, 16, CPU, processes)
    assert "\n" not in str(refused.value)


def test_a_training_resumes_as_it_began_with_another_micro_batch(options):
    saved = resolve(options(batch=None, gamma=None, kimg=1.0), 0, 16, CPU, 4)
    assert (saved.batch, saved.batch_gpu) == (64, 16)
    later = for_resume(saved, options(batch=None, gamma=None, kimg=2.0), 1)
    assert later == TrainingConfig(**{**asdict(saved), "kimg": 2.0})
    assert for_resume(saved, options(batch_gpu=8), 2).batch_gpu == 8
    assert for_resume(saved, options(), 8).batch_gpu == 8


@pytest.mark.parametrize("augment", ["noaug", "ada"])
def test_memory_is_counted_as_if_it_were_used(options, augment):
    """The count of one phase on the device without values equals that on a CPU, where augmentation is off."""
    config = resolve(options(channel_base=1024, channel_max=64, augment=augment), 0, 32, CPU)
    estimate = MemoryEstimate(config, 2, 32)
    G, D = networks(config, 2, 32)
    assert estimate.parameters == tuple(sum(one.numel() for one in network.parameters()) for network in (G, D))
    assert estimate.gb(16) - estimate.gb(12) == pytest.approx(estimate.gb(12) - estimate.gb(8))
    if augment == "ada":
        assert estimate.gb(8) > MemoryEstimate(replace(config, augment="noaug"), 2, 32).gb(8)
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
    estimate = MemoryEstimate(resolve(options(**given), 0, 16, CPU), 2, 16)
    for size in (8, 32):
        enough = (estimate.gb(size) + estimate.gb(2 * size)) / 2
        limited = options(**given, memory_gb=enough)
        assert training_config(limited, 0, tiles, ProcessGroup(), CPU).batch_gpu == size
    with pytest.raises(ConfigError, match="the smallest micro-batch, 4, takes about"):
        training_config(options(**given, memory_gb=1e-3), 0, tiles, ProcessGroup(), CPU)


# The identity that a checkpoint of `--batch 8 --gamma 0.1` had when 0, -1 and '' stood for options left out.
FORMER = {
    "preset": "auto",
    "batch": 8,
    "channel_base": 0,
    "channel_max": 512,
    "mapping_layers": 0,
    "d_mapping_layers": 8,
    "latent_dim": 512,
    "gamma": 0.1,
    "pl_weight": -1.0,
    "style_mixing": -1.0,
    "learning_rate": 0.0,
    "ema_kimg": 0.0,
    "mirror": True,
    "symmetry": "",
    "balanced": False,
    "augment": "ada",
    "augment_p": 0.0,
    "augment_pipe": "bgc",
    "ada_target": 0.6,
    "ada_kimg": 0.0,
    "freeze_d": 0,
    "precision": "auto",
    "snapshot_kimg": 0.0,
    "resume_from": "",
    "seed": 3,
}


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ({}, {}),
        ({"pl_weight": 0.0, "ada_kimg": 5.0}, {"pl_weight": 0.0, "ada_kimg": 5.0}),
        ({"mirror": False}, {"symmetry": "none"}),
        ({"mirror": False, "symmetry": "d4"}, {"symmetry": "d4"}),
        ({"mirror": False, "preset": "published"}, {"preset": "published"}),
        ({"resume_from": "x.pkl"}, {"resume_from": "x.pkl"}),
    ],
)
def test_a_checkpoint_of_before_is_recognised(former, now):
    expected = resume_identity(GanOptions(batch=8, gamma=0.1, **now), 3)
    assert upgrade_identity(FORMER | former) == expected
    assert upgrade_identity(expected) == expected
