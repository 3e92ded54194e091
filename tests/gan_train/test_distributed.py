"""Two processes of torchrun train what one trains, and go on from one another."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from components.gan_train.stage import run

ROOT = Path(__file__).parents[2]
OUTPUTS = {"snapshots": "snapshots", "page": "page.html", "metrics": "metrics.json"}
SMALL = {
    "batch": 8,
    "channel_base": 256,
    "channel_max": 16,
    "mapping_layers": 2,
    "latent_dim": 16,
    "gamma": 0.1,
    "learning_rate": 0.002,
    "kimg": 0.24,
    "snapshot_kimg": 0.12,
    "augment_p": 0.3,
    "ada_kimg": 0.5,
    "device": "cpu",
}
LAST = "network-snapshot-000000.240.safetensors"


def paths(folder):
    return {key: str(folder / name) for key, name in OUTPUTS.items()}


def start(dataset, folder, **options):
    given = {"dataset": dataset, **paths(folder), **SMALL, **options}
    words = [word for key, value in given.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "components.gan_train", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **streams)


def torchrun(dataset, folder, **options):
    process = start(dataset, folder, **options)
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    return said


def end(process, base, sign):
    """A signal to torchrun, or to all of its processes, once a few checkpoints were written."""
    deadline = time.monotonic() + 120
    while process.poll() is None and not any(int(path.stem[-12:]) > 100 for path in base.rglob("checkpoint-*")):
        assert time.monotonic() < deadline, "no checkpoint appears"
        time.sleep(0.01)
    (os.killpg if sign == signal.SIGKILL else os.kill)(process.pid, sign)
    said, _ = process.communicate(timeout=120)
    return said


def rows(folder):
    lines = (folder / "snapshots/stats.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(one).items() if k not in ("sec_per_kimg", "memory_gb")} for one in lines]


def check_alike(folder, other):
    """Equal up to the order of sums, which Adam's first steps magnify where a gradient is around zero."""
    one, two = (load_file(path / "snapshots" / LAST) for path in (folder, other))
    ours, theirs = (torch.cat([one[name].flatten() for name in sorted(one)]) for one in (one, two))
    assert (ours - theirs).norm() < 1e-3 * ours.norm()
    for ours, theirs in zip(rows(folder), rows(other), strict=True):
        assert ours["loss_d"] == pytest.approx(theirs["loss_d"], rel=2e-2)
        assert ours["augment_p"] == pytest.approx(theirs["augment_p"], abs=0.02)


@pytest.fixture(scope="module")
def two(toy_archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    said = torchrun(toy_archive, folder)
    assert said.count("done in") == 1  # one of them speaks
    return folder


def test_two_processes_equal_one(toy_archive, two, tmp_path):
    run(dataset=toy_archive, **paths(tmp_path), **SMALL, threads=1)
    assert {path.name for path in (tmp_path / "snapshots").iterdir()} == {
        path.name for path in (two / "snapshots").iterdir()
    }
    assert json.loads((two / "metrics.json").read_text())["processes"] == 2
    check_alike(tmp_path, two)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_two_go_on_bit_by_bit_and_one_goes_on_alike(toy_archive, two, tmp_path, sign, capsys):
    base = tmp_path / "checkpoints"
    kept = {"checkpoint_uri": str(base), "checkpoint_minutes": 0}
    said = end(start(toy_archive, tmp_path / "a", **kept), base, sign)
    assert sign == signal.SIGKILL or "the same command goes on from there" in said
    if sign == signal.SIGTERM:  # another number of processes
        run(dataset=toy_archive, **paths(tmp_path / "b"), **SMALL, checkpoint_uri=str(base), threads=1)
        assert "not bit-equal: world_size 2 → 1" in capsys.readouterr().out
        check_alike(tmp_path / "b", two)
        return
    torchrun(toy_archive, tmp_path / "b", checkpoint_uri=base)
    for name in ("network-snapshot-000000.120.safetensors", LAST, "fakes000000.240.png"):
        assert (tmp_path / "b/snapshots" / name).read_bytes() == (two / "snapshots" / name).read_bytes(), name
    assert rows(tmp_path / "b") == rows(two)


def test_a_refusal_is_one_sentence_of_the_leader(toy_archive, tmp_path):
    process = start(toy_archive, tmp_path, checkpoint_uri="gopher://nowhere")
    said, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert said.count("error: 'gopher://nowhere") == 1
    assert "error: Process 0 has stopped" in said
    assert not (tmp_path / "snapshots").exists()
