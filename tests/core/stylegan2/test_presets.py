"""Presets against the original's resolved hyper-parameters."""

import json
from dataclasses import asdict

import pytest

from components.core.errors import ConfigError
from components.core.stylegan2.presets import auto, resolve_preset
from components.gan_train.config import mixed_precision
from components.gan_train.options import GanOptions
from components.gan_train.trainer import ADAM_BETAS, ADAM_EPSILON

OFFICIAL_NAMES = {
    "total_kimg": "kimg",
    "batch": "batch",
    "batch_gpu": "batch_gpu",
    "mbstd_group": "mbstd_group",
    "channel_base": "channel_base",
    "lr": "learning_rate",
    "r1_gamma": "gamma",
    "ema_kimg": "ema_kimg",
    "ema_rampup": "ema_rampup",
    "mapping_layers": "mapping_layers",
    "pl_weight": "pl_weight",
    "style_mixing_prob": "style_mixing",
    "d_architecture": "d_architecture",
    "ada_kimg": "ada_kimg",
}
CONSTANTS = {
    "z_dim": GanOptions().latent_dim,
    "w_dim": GanOptions().latent_dim,
    "channel_max": GanOptions().channel_max,
    "eps": ADAM_EPSILON,
    "ada_target": GanOptions().ada_target,
}


def test_every_configuration_equals_the_original(golden_file):
    resolved = json.loads(golden_file("presets.json").read_text())
    assert len(resolved) == 180
    for key, expected in resolved.items():
        name, resolution, gpus, variant = key.split("|")
        gpus = int(gpus.removeprefix("gpus"))
        preset = resolve_preset(name, int(resolution.removeprefix("res")), gpus)
        preset = preset.for_transfer() if variant == "resume" else preset
        ours = {official: asdict(preset)[field] for official, field in OFFICIAL_NAMES.items()} | CONSTANTS
        precision = mixed_precision("fp32" if variant == "fp32" else "fp16")
        ours |= {field: precision[field] for field in ("num_fp16_res", "conv_clamp")}
        if expected["batch_gpu"] * gpus > expected["batch"]:  # the original prints it, and then refuses to train
            expected["batch_gpu"] = expected["batch"] // gpus
        assert expected.pop("betas") == list(ADAM_BETAS)
        del expected["desc"]  # a name for the run's folder
        assert ours == pytest.approx(expected), key


def test_published_is_paper512_for_classes():
    ours, paper = (asdict(resolve_preset(name, 512, gpus=4)) for name in ("published", "paper512"))
    assert {key: value for key, value in ours.items() if value != paper[key]} == {"conditional": True}
    assert ours["kimg"] == 25_000


def test_a_stated_batch_is_shared_by_the_gpus_and_changes_only_auto():
    assert auto(512, batch=64).gamma == pytest.approx(0.0002 * 512**2 / 64)
    assert auto(512, batch=64).ema_kimg == 20
    paper = resolve_preset("paper512", 512, gpus=2, batch=32)
    assert (paper.batch, paper.batch_gpu, paper.gamma) == (32, 16, 0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("paper128", 128), "auto, stylegan2, paper256"),
        (("auto", 64, 3), "power of two"),
        (("auto", 64, 0), "power of two"),
        (("auto", 64, 4, 6), "multiple of the 4 GPUs"),
        (("paper512", 512, 128), "batch is 64: it must be a multiple of the 128 GPUs"),
        (("stylegan2", 512, 2, -2), "batch is -2"),
    ],
)
def test_bad_arguments_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        resolve_preset(*given)
