"""Coarse to fine: the same choice as in full, for less; and a killed selection goes on where it was."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from components.core.stylegan2 import Generator
from components.fid_select.snapshot_samples import plan_images

from .conftest import make_network, write_archive, write_snapshots

ROOT = Path(__file__).parents[2]
STEPS = 8


def between(one: Generator, other: Generator, share: float) -> Generator:
    """A network on the way from one to another."""
    G = make_network(0)
    with torch.no_grad():
        for name, value in G.state_dict().items():
            value.copy_(torch.lerp(one.state_dict()[name].float(), other.state_dict()[name].float(), share))
    return G


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snapshots that approach the network that the data come from until the sixth, and leave it again."""
    folder = tmp_path_factory.mktemp("training")
    start, goal = make_network(1), make_network(2)
    shares = [0.0, 0.3, 0.5, 0.7, 0.85, 0.97, 0.8, 0.6]
    write_snapshots(folder / "snapshots", {float(n): between(start, goal, share) for n, share in enumerate(shares)})
    write_archive(folder / "train.zip", goal, 10_000, {0: 40, 1: 40}, "t0")
    write_archive(folder / "held.zip", goal, 20_000, {0: 30, 1: 30}, "v0")
    return folder


def inputs(training: Path) -> dict:
    return {
        "snapshots": str(training / "snapshots"),
        "dataset": str(training / "train.zip"),
        "held_out": str(training / "held.zip"),
        "images": 300,
        "extractor_px": 32,
    }


@pytest.mark.parametrize("rule", ["kid_held_out", "fid_train"])
def test_the_choice_is_that_of_the_full_measure_and_the_rest_is_spared(select, training: Path, tmp_path, rule) -> None:
    cache = str(tmp_path / "cache")
    full = select(**inputs(training), rule=rule, screening_images=0, cache_uri=cache).record
    coarse = select(**inputs(training), rule=rule, screening_images=60, finalists=2, cache_uri=cache).record
    assert coarse["chosen_kimg"] == full["chosen_kimg"] == 5
    assert (full["images_drawn"], full["images_spared"]) == (STEPS * 300, 0)
    finalists = [row for row in coarse["tables"]["snapshots"] if row["full"]]
    assert 2 <= len(finalists) < STEPS
    assert coarse["images_drawn"] == STEPS * 60 + len(finalists) * 240
    assert coarse["images_drawn"] + coarse["images_spared"] == STEPS * 300
    of_full = {row["kimg"]: row for row in full["tables"]["snapshots"]}
    for row in finalists:
        assert row["fid"] == pytest.approx(of_full[row["kimg"]]["fid"], rel=1e-4)
        assert row["classes"][0]["recall"] == of_full[row["kimg"]]["classes"][0]["recall"]
    assert all(
        row["fid"] is None and row["kid"] is not None for row in coarse["tables"]["snapshots"] if not row["full"]
    )


def test_the_page_says_what_was_spared(select, training: Path) -> None:
    out = select(**inputs(training), screening_images=60, finalists=2)
    page = Path(out.page).read_text()
    assert "A first round by KID on 60 images of each of 8 snapshots left" in page
    assert f"{out.record['images_drawn']} images instead of 2400" in page


def test_a_killed_selection_goes_on_where_it_was(select, training: Path, tmp_path: Path) -> None:
    """Killed once two snapshots' features are kept: the next run draws neither of them again, and chooses the same."""
    cache = tmp_path / "cache"
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in inputs(training).items()]
    arguments += [
        f"--{name}={tmp_path / 'killed' / name}" for name in ("generator", "selection-page", "selection-record")
    ]
    command = [
        sys.executable,
        "-m",
        "components.fid_select",
        *arguments,
        "--screening-images=0",
        f"--cache-uri={cache}",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)})
    give_up = time.monotonic() + 120
    while len(list(cache.glob("*.npy"))) < 4 and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in cache.glob("*.npy")}
    assert 4 <= len(kept) < STEPS + 2  # the tiles' two, and some snapshots'
    assert not (tmp_path / "killed" / "generator").exists()
    found = select(**inputs(training), screening_images=0, cache_uri=str(cache)).record
    assert found["chosen_kimg"] == 5
    assert {name: (cache / name).stat().st_mtime_ns for name in kept} == kept
    assert len(list(cache.glob("*.npy"))) == STEPS + 2


def test_other_tiles_another_extractor_or_seed_are_not_taken_from_the_cache(
    select, world: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    options = {"images": 20, "extractor_px": 32, "cache_uri": str(cache)}
    counts = []
    for changed in ({}, {}, {"extractor_px": 64}, {"seed": 1}, {"held_out": str(world / "one_class.zip")}):
        select(**{**options, **changed})
        counts.append(len(list(cache.glob("*.npy"))))
    assert np.diff(counts).tolist() == [0, 5, 3, 1]


def test_a_torn_file_in_the_cache_is_made_again(select, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    options = {"images": 20, "extractor_px": 32, "cache_uri": str(cache)}
    first = select(**options).record
    for path in cache.glob("*.npy"):
        path.write_bytes(path.read_bytes()[:1000])
    assert select(**options).record["tables"]["snapshots"] == first["tables"]["snapshots"]


def test_the_card_says_what_was_measured(select, world: Path) -> None:
    out = select(images=20, extractor_px=32)
    card = json.loads((out.folder / "card.json").read_text())
    chosen = next(row for row in out.record["tables"]["snapshots"] if row["chosen"])
    assert card["selection"]["fid"] == chosen["fid"]
    assert card["selection"]["extractor_sha256"] == out.record["extractor_sha256"]
    assert (card["selection"]["images"], card["seen"]["tiles"], card["seen"]["patients"]) == (20, 64, 2)
    assert card["network"]["parameters"] == sum(value.numel() for value in make_network(0).state_dict().values())
    assert "generator-card.json" in Path(out.page).read_text()


def test_a_draw_has_the_datas_shares_and_measures_rare_classes_first() -> None:
    labels = np.repeat([0, 1], [900, 100])
    draw = plan_images(labels, [0, 1], 20_000, 20_000, 0)
    assert (draw.classes == 1).mean() == pytest.approx(0.1, abs=0.01)
    assert len(set(draw.seeds)) > 19_990
    assert draw.part(5, 9).seeds == draw.seeds[5:9]
    rare = plan_images(np.repeat([0, 1], [9999, 1]), [0, 1], 5000, 50, 0)
    assert (rare.classes[:50] == 1).sum() >= 3
