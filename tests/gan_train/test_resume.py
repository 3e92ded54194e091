"""Killed anywhere and started again elsewhere, a training makes what an undisturbed one makes, bit by bit."""

import json
import signal
import sys
from pathlib import Path

import pytest

from components.core.checkpoint.state_file import read_state
from components.core.errors import ConfigError, TrainingError
from components.core.store import open_store
from components.gan_train.checkpoint import CheckpointScheduler

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from trainings import Process, steps, train, words

pytest_plugins = ["real_s3"]

# Several snapshots, p that moves at every chance, and ticks that checkpoints fall on and do not.
LONG = {
    "batch": 8,
    "channel_base": 128,
    "channel_max": 16,
    "mapping_layers": 2,
    "latent_dim": 16,
    "gamma": 0.1,
    "learning_rate": 0.005,
    "kimg": 0.48,
    "snapshot_kimg": 0.16,
    "ada_kimg": 0.5,
    "device": "cpu",
    "threads": 1,
}
OF_THE_CLOCK = ("sec_per_kimg", "memory_gb")


def run_and_signal(dataset, folder, base, sign, after):
    """A training that gets a signal once a checkpoint of more than `after` images is there."""
    often = {"checkpoint_uri": str(base), "checkpoint_minutes": 0}
    process = Process(folder, *words(dataset, folder, **LONG, **often))
    process.wait_for(base, after)
    process.send(sign)
    return process.result()


def content(folder):
    """Bytes of all that later stages read, statistics without what the clock says."""
    folder = folder / "snapshots"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    rows = [json.loads(line) for line in files.pop("stats.jsonl").decode().splitlines()]
    files.pop("records.json")
    return files, [{key: value for key, value in row.items() if key not in OF_THE_CLOCK} for row in rows]


@pytest.fixture(scope="module")
def undisturbed(toy_archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    train(toy_archive, folder, **LONG)
    return content(folder)


def test_killed_torn_terminated_and_finished(toy_archive, undisturbed, tmp_path):
    """By SIGKILL while it computes or writes, by SIGTERM, and in a third process; each in a folder of its own.

    The checkpoint that the first one left is torn, which costs one interval.
    """
    base = tmp_path / "checkpoints"
    code, _, _ = run_and_signal(toy_archive, tmp_path / "a", base, signal.SIGKILL, after=170)
    assert code == -signal.SIGKILL
    assert not (tmp_path / "a" / "snapshots").exists()
    *_, killed_at, torn_at = steps(base)
    (torn,) = base.rglob(f"checkpoint-{torn_at:012d}.safetensors")
    torn.write_bytes(torn.read_bytes()[:-100])
    code, said, complained = run_and_signal(toy_archive, tmp_path / "b", base, signal.SIGTERM, after=killed_at + 50)
    assert code == 1
    assert "is torn" in said
    assert f"The training resumes at {killed_at / 1000:g} kimg." in said
    assert "stopped on SIGTERM at" in complained
    assert "the same command resumes it" in complained
    assert len(complained.strip().splitlines()) == 1
    assert not (tmp_path / "b" / "snapshots").exists()
    train(toy_archive, tmp_path / "c", **LONG, checkpoint_uri=str(base))
    assert content(tmp_path / "c") == undisturbed
    page = (tmp_path / "c" / "page.html").read_text()
    assert page.count("<figcaption>generated after") == 4


def stop_at(dataset, folder, base, images, monkeypatch, **options):
    """Terminates its own process, as a cluster does, once so many images were seen."""
    plain = CheckpointScheduler.after_iteration

    def after_iteration(self, images_seen):
        if images_seen == images:
            signal.raise_signal(signal.SIGTERM)
        plain(self, images_seen)

    kept = {"checkpoint_uri": str(base), "checkpoint_minutes": 0}
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointScheduler, "after_iteration", after_iteration)
        with pytest.raises(TrainingError, match=f"stopped on SIGTERM at {images / 1000:g} kimg"):
            train(dataset, folder, **{**LONG, **options}, **kept)


def test_a_bucket_is_enough(toy_archive, undisturbed, tmp_path, bucket, monkeypatch):
    """Nothing of the first run's disk is left: state, snapshots and grids come from the bucket."""
    stop_at(toy_archive, tmp_path / "a", bucket, 240, monkeypatch)
    train(toy_archive, tmp_path / "b", **LONG, checkpoint_uri=bucket)
    assert content(tmp_path / "b") == undisturbed
    names = [one.name for one in open_store(bucket).list()]
    assert sum(name.endswith(".safetensors") and "outputs/" in name for name in names) == 4


def test_finished_it_is_made_again_at_once_and_may_grow(toy_archive, undisturbed, tmp_path):
    base = str(tmp_path / "checkpoints")
    short = {**LONG, "kimg": 0.16, "checkpoint_uri": base}
    train(toy_archive, tmp_path / "a", **short)
    (last,) = Path(base).rglob("checkpoint-*.safetensors")
    written = last.stat().st_mtime_ns
    train(toy_archive, tmp_path / "b", **short)
    assert last.stat().st_mtime_ns == written
    assert content(tmp_path / "b") == content(tmp_path / "a")
    train(toy_archive, tmp_path / "c", **{**short, "kimg": 0.48})
    name = "network-snapshot-000000.480.safetensors"
    assert content(tmp_path / "c")[0][name] == undisturbed[0][name]


def test_another_configuration_is_refused_by_name(toy_archive, tmp_path, monkeypatch):
    base = tmp_path / "checkpoints"
    stop_at(toy_archive, tmp_path / "a", base, 16, monkeypatch)
    with pytest.raises(ConfigError, match=r"\(balanced False → True, gamma 0\.1 → 0\.2\)"):
        other = {**LONG, "gamma": 0.2, "balanced": True, "checkpoint_uri": str(base)}
        train(toy_archive, tmp_path / "b", **other)
    assert not (tmp_path / "b").exists()


def test_a_state_holds_everything(toy_archive, tmp_path, monkeypatch):
    base = tmp_path / "checkpoints"
    stop_at(toy_archive, tmp_path / "a", base, 56, monkeypatch)
    state = read_state(max(base.rglob("checkpoint-*.safetensors"))).state
    assert state["training"]["images_seen"] == 56
    assert {"G", "D", "G_ema", "optimizer_g", "optimizer_d", "ada", "pl_mean"} < set(state["training"])
    assert state["training"]["ada"]["count"] > 0
    assert state["settings"]["batch"] == 8
    assert [row["kimg"] for row in state["outputs"]["rows"]] == [0.016, 0.024, 0.04, 0.048]
    assert state["walk"]["meter"]["counts"]["loss_g"] == 1
    assert state["outputs"]["snapshots"][0]["kimg"] == 0


@pytest.mark.parametrize(("given", "sentence"), [({"checkpoint_minutes": -1.0}, "checkpoint_minutes is -1")])
def test_bad_options_are_refused(toy_archive, tmp_path, given, sentence):
    with pytest.raises(ConfigError, match=sentence):
        train(toy_archive, tmp_path, **LONG, **given)
