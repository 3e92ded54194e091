"""The controller of augmentation against the original's trajectories, resumed, clamped and over processes."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from components.core.errors import ConfigError
from components.gan_train.ada import AdaController
from components.gan_train.trainer import D_INTERVAL

CASES = ["rise_fall", "accum2", "start0.4_target0.5_int8", "zeros_logit"]


def build_controller(case, **options):
    """A controller with a case's settings, and that case's outputs of D, iteration by iteration."""
    settings = {"target": case["ada_target"], "kimg": case["ada_kimg"], "interval": case["ada_interval"]}
    return AdaController(p=case.get("augment_p", 0.0), clamp=False, **settings, **options)


def by_iteration(rows, case):
    """Rows of outputs as the loop evaluates D on reals: each round of Dmain, and of Dreg where it is due."""
    rounds, start = case["batch_size"] // case["batch_gpu"], 0
    for iteration in range(case["iterations"]):
        end = start + rounds * (2 if iteration % D_INTERVAL == 0 else 1)
        yield torch.tensor(rows[start:end])
        start = end
    assert start <= len(rows)


@pytest.mark.parametrize("name", CASES)
def test_trajectory_equals_the_original_to_the_last_bit(golden, name):
    data = golden("ada_trajectory")
    case = json.loads(str(data["manifest_json"]))[name]
    ada, ps, rts = build_controller(case), [], []
    for outputs in by_iteration(data[f"{name}/logits_by_call"], case):
        for logits in outputs:
            ada.report(logits[:, None])
        ps.append(ada.update(case["batch_size"]))
        rts.append(math.nan if ada.r_t is None else ada.r_t)
    np.testing.assert_array_equal(ps, data[f"{name}/p"])
    np.testing.assert_allclose(rts, data[f"{name}/rt_last"], rtol=1e-12)


@pytest.mark.parametrize("stop", [1, 5, 8, 18])
def test_goes_on_from_its_state(golden, stop):
    data = golden("ada_trajectory")
    case = json.loads(str(data["manifest_json"]))["rise_fall"]
    ada, ps = build_controller(case), []
    for iteration, outputs in enumerate(by_iteration(data["rise_fall/logits_by_call"], case)):
        if iteration == stop:
            state = json.loads(json.dumps(ada.state_dict()))
            assert ada.state_dict() == state  # taking it changes nothing
            other = build_controller(case)
            other.load_state_dict(state)
            before, ada = ada, other
            assert (ada.p, ada.r_t) == (before.p, before.r_t)
        for logits in outputs:
            ada.report(logits)
        ps.append(ada.update(case["batch_size"]))
    np.testing.assert_array_equal(ps, data["rise_fall/p"])


def run(ada, logits, iterations, batch=8):
    for _ in range(iterations):
        ada.report(torch.tensor(logits))
        ada.update(batch)
    return ada


def test_p_stays_in_range_unless_asked_otherwise():
    assert run(AdaController(kimg=0.1), [1.0], 100).p == 1.0
    assert run(AdaController(kimg=0.1, clamp=False), [1.0], 100).p > 5
    assert run(AdaController(kimg=0.1, p=0.5), [-1.0], 100).p == 0.0


def test_p_takes_as_many_images_as_told():
    assert run(AdaController(kimg=0.8), [1.0, 1.0], 100, batch=8).p == pytest.approx(1.0, abs=1e-5)
    assert run(AdaController(kimg=0.8), [1.0, 1.0], 60, batch=8).p == pytest.approx(0.6, abs=1e-5)
    assert AdaController(p=0.1).p == np.float32(0.1)


def test_at_the_target_p_rests():
    ada = run(AdaController(target=0.5, p=0.3, kimg=1), [1.0, 2.0, 3.0, -4.0], 8)
    assert (ada.p, ada.r_t) == (np.float32(0.3), 0.5)


@pytest.mark.parametrize(("mode", "p"), [("fixed", 0.3), ("noaug", 0.0)])
def test_without_control_r_t_is_measured_and_p_kept(mode, p):
    ada = run(AdaController(mode=mode, p=p, kimg=0.1), [3.0, 1.0, -1.0, 2.0], 8)
    assert (ada.p, ada.r_t) == (np.float32(p), 0.5)


def test_outputs_without_a_sign_count_as_zero():
    assert run(AdaController(kimg=1), [math.nan, 0.0, 1.0, math.inf, -math.inf], 4).r_t == pytest.approx(0.2)
    nothing = run(AdaController(kimg=1, p=0.5), [], 4)
    assert (nothing.p, nothing.r_t) == (0.5, None)


def test_half_precision_is_summed_exactly():
    ada = AdaController(interval=1)
    ada.report(torch.ones(5000, dtype=torch.float16))
    ada.report(-torch.ones(1, dtype=torch.float16))
    ada.update(8)
    assert ada.r_t == 4999 / 5001


PROCESS = """
import json, sys, torch, torch.distributed as dist
from components.gan_train.ada import AdaController
rank, store = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
def summed(x):
    dist.all_reduce(x)
    return x
logits = torch.randn(12, 8, generator=torch.Generator().manual_seed(0)) + 0.8
ada, seen = AdaController(kimg=1, reduce=summed), []
for i, row in enumerate(logits):
    if i == 6:
        state = ada.state_dict()
        ada = AdaController(kimg=1, reduce=summed)
        ada.load_state_dict(state)
    ada.report(row[rank::2])
    seen.append([ada.update(8), ada.r_t])
print(json.dumps([seen, state]))
dist.destroy_process_group()
"""


def test_two_processes_are_one(tmp_path):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(rank), str(tmp_path / "store")], stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    (first, state), (second, other) = (json.loads(process.communicate(timeout=100)[0]) for process in started)
    logits = torch.randn(12, 8, generator=torch.Generator().manual_seed(0)) + 0.8
    ada, alone = AdaController(kimg=1), []
    for i, row in enumerate(logits):
        if i == 6:
            assert ada.state_dict() == state == other
        ada.report(row)
        alone.append([ada.update(8), ada.r_t])
    assert first == second == alone


def test_what_cannot_be_meant_is_refused_in_one_sentence():
    for options, message in (
        ({"mode": "auto"}, "The augmentation mode 'auto' is not one of ada, noaug, fixed"),
        ({"p": 1.5}, "The augmentation probability p is 1.5: give a number from 0 to 1"),
        ({"p": math.nan}, "The augmentation probability p is nan: give"),
        ({"mode": "noaug", "p": 0.2}, "p is 0.2 in mode 'noaug': use mode 'fixed'"),
        ({"target": 2}, "The target of ADA is 2: a mean sign is between -1 and 1"),
        ({"kimg": 0}, "The speed of ADA is 0 kimg: give a positive number"),
        ({"interval": 0}, "The interval of ADA is 0 iterations: give at least 1"),
    ):
        with pytest.raises(ConfigError, match=message):
            AdaController(**options)
