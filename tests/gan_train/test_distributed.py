"""Two processes of torchrun train what one trains, and go on from one another."""

import json
import signal
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parent))
from trainings import STAGE, Pair, Process, train, words

SMALL = {
    "batch": 8,
    "channel_base": 128,
    "channel_max": 16,
    "mapping_layers": 2,
    "latent_dim": 16,
    "gamma": 0.1,
    "learning_rate": 0.002,
    "kimg": 0.16,
    "snapshot_kimg": 0.08,
    "augment_p": 0.3,
    "ada_kimg": 0.5,
    "device": "cpu",
}
LAST = "network-snapshot-000000.160.safetensors"


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
    (code, said, _), (other_code, other_said, _) = Pair(folder, *words(toy_archive, folder, **SMALL)).results()
    assert (code, other_code) == (0, 0)
    assert "done in" in said
    assert not other_said  # one of them speaks
    return folder


def test_two_processes_equal_one(toy_archive, two, tmp_path):
    train(toy_archive, tmp_path, **SMALL, threads=1)
    assert {path.name for path in (tmp_path / "snapshots").iterdir()} == {
        path.name for path in (two / "snapshots").iterdir()
    }
    assert json.loads((two / "record.json").read_text())["processes"] == 2
    check_alike(tmp_path, two)


def test_two_that_were_killed_go_on_bit_by_bit(toy_archive, two, tmp_path):
    base = tmp_path / "checkpoints"
    often = {"checkpoint_uri": base, "checkpoint_minutes": 0}
    first = Pair(tmp_path / "a", *words(toy_archive, tmp_path / "a", **SMALL, **often))
    first.processes[0].wait_for(base, 60)
    first.kill()
    assert {code for code, *_ in first.results()} == {-signal.SIGKILL}
    second = Pair(tmp_path / "b", *words(toy_archive, tmp_path / "b", **SMALL, checkpoint_uri=base))
    assert {code for code, *_ in second.results()} == {0}
    for name in ("network-snapshot-000000.080.safetensors", LAST, "fakes000000.160.png"):
        assert (tmp_path / "b/snapshots" / name).read_bytes() == (two / "snapshots" / name).read_bytes(), name
    assert rows(tmp_path / "b") == rows(two)


def test_torchrun_is_terminated_and_one_process_resumes(toy_archive, two, tmp_path, capsys):
    base = tmp_path / "checkpoints"
    often = {"checkpoint_uri": base, "checkpoint_minutes": 0}
    arguments = [
        "--standalone",
        "--nproc-per-node=2",
        "-m",
        STAGE,
        *words(toy_archive, tmp_path / "a", **SMALL, **often),
    ]
    process = Process(tmp_path / "a", *arguments, module="torch.distributed.run")
    process.wait_for(base, 60)
    process.send(signal.SIGTERM)
    code, _, complained = process.result()
    assert code != 0
    assert "the same command resumes it" in complained
    train(toy_archive, tmp_path / "b", **SMALL, checkpoint_uri=str(base), threads=1)
    assert "not bit-equal: world_size 2 → 1" in capsys.readouterr().out
    check_alike(tmp_path / "b", two)


def test_a_refusal_is_one_sentence_of_rank_0(toy_archive, tmp_path):
    pair = Pair(tmp_path, *words(toy_archive, tmp_path, **SMALL, checkpoint_uri="gopher://nowhere"))
    (code, _, complained), (other_code, _, other) = pair.results()
    assert (code, other_code) == (1, 1)
    assert complained.startswith("error: 'gopher://nowhere")
    assert other.startswith("error: Process 0 stopped")
    assert not (tmp_path / "snapshots").exists()
