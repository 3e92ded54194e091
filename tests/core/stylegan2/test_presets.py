"""The rule `auto` against the original's resolved hyper-parameters."""

import json

import pytest

from components.core.stylegan2.presets import auto


def test_auto_equals_the_original(golden_file):
    resolved = json.loads(golden_file("presets.json").read_text())
    names = [name for name in resolved if name.startswith("auto|") and name.endswith("|default")]
    assert len(names) > 15
    for name in names:
        _, resolution, gpus, _ = name.split("|")
        ours, expected = auto(int(resolution.removeprefix("res")), int(gpus.removeprefix("gpus"))), resolved[name]
        assert (ours.batch, ours.channel_base, ours.learning_rate) == (
            expected["batch"],
            expected["channel_base"],
            expected["lr"],
        ), name
        assert ours.gamma == pytest.approx(expected["r1_gamma"]), name
        assert ours.ema_kimg == pytest.approx(expected["ema_kimg"]), name


def test_a_batch_of_ones_own_moves_gamma_and_the_average():
    assert auto(512, batch=64).gamma == pytest.approx(0.0002 * 512**2 / 64)
    assert auto(512, batch=64).ema_kimg == 20
