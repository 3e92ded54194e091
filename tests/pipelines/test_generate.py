"""`thygan generate` as a user calls it: seeds as the official command line reads them."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from components.core.io.atomic_files import file_sha256, write_json
from components.core.runtime.cli import execute
from components.core.stylegan2 import Generator
from components.core.stylegan2.centres import class_centres
from components.core.stylegan2.sampling import generate_images
from components.core.stylegan2.snapshot import load_generator, save_snapshot
from pipelines.cli.app import app


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    G = Generator(8, 3, 8, 16, mapping_layers=2, channel_base=128, channel_max=16)
    save_snapshot(tmp_path / "g" / "generator.safetensors", G, 1)
    write_json(tmp_path / "g" / "classes.json", [{"index": n, "name": f"kind {n}", "label": n % 2} for n in range(3)])
    return tmp_path / "g"


def thygan(*arguments: object) -> None:
    execute(app, ["generate", *map(str, arguments)])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open() as file:
        return list(csv.DictReader(file))


def test_both_ends_of_a_range_are_drawn_and_each_image_is_its_rows(generator: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    thygan(generator, "--out", out, "--seeds", "3,5-7", "--class", "0,2", "--psi", "0.5", "--batch", "3", "--json")
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["images"] == 8
    found = rows(out)
    assert [(row["class"], row["seed"]) for row in found] == [(k, s) for k in "02" for s in "3567"]
    assert {path.name for path in out.iterdir()} == {row["file"] for row in found} | {"manifest.csv"}
    G = load_generator(generator)
    for row in found:
        assert row["generator"] == file_sha256(generator / "generator.safetensors")
        assert row["name"] == f"kind {row['class']}"
        assert hashlib.sha256((out / row["file"]).read_bytes()).hexdigest() == row["sha256"]
        alone = next(generate_images(G, [int(row["seed"])], [int(row["class"])], psi=0.5, centres=class_centres(G)))
        assert np.abs(np.array(Image.open(out / row["file"])).astype(int) - alone.astype(int)).max() <= 1


def test_every_class_when_none_is_named(generator: Path, tmp_path: Path) -> None:
    thygan(generator / "generator.safetensors", "--out", tmp_path / "out", "--seeds", "0")
    assert [row["file"] for row in rows(tmp_path / "out")] == [f"class{kind}-seed0000.png" for kind in range(3)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--seeds", "7-5"], "gives no seeds"),
        (["--seeds", "1", "--class", "3"], "has 3 classes"),
        (["--seeds", "1", "--psi", "2"], "psi in 0..1"),
        (["--seeds", "1", "--noise", "loud"], "const, none or random"),
        (["--seeds", "1", "--device", "gpu7"], "no device"),
    ],
)
def test_bad_input_leaves_nothing(generator: Path, tmp_path: Path, given: list[str], message: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        thygan(generator, "--out", tmp_path / "out", *given)
    assert ended.value.code == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_is_left_alone(generator: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(SystemExit) as ended:
        thygan(generator, "--out", tmp_path / "out", "--seeds", "1")
    assert ended.value.code == 1
    assert "exists" in capsys.readouterr().err
