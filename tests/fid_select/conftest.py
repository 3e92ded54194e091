"""A world whose right answer is known: the real tiles are draws of one of the snapshots."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from components.core.data.archive import ArchiveWriter
from components.core.data.file_names import CLASSES, LINEAGE, RECORDS
from components.core.io.atomic_files import write_json
from components.core.options.parse import parse
from components.core.options.shared import SharedOptions
from components.core.protocol.lineage import Lineage
from components.core.stylegan2 import Generator
from components.core.stylegan2.sampling import generate_images
from components.core.stylegan2.snapshot import save_snapshot
from components.fid_select.options import SHARED, SelectionOptions
from components.fid_select.stage import run

CLASS_LIST = [{"index": 0, "name": "FA+FTC", "label": 0}, {"index": 1, "name": "PTC", "label": 1}]
LINEAGE_OF_TRAINING = Lineage("key", "plan", "0", "binary", ["t0", "t1"])
RIGHT = 4.0  # kimg of the snapshot that the data come from


def make_network(seed: int) -> Generator:
    torch.manual_seed(seed)
    G = Generator(16, 2, 16, 32, channel_base=512, channel_max=16, mapping_layers=2)
    with torch.no_grad():
        for name, parameter in G.named_parameters():
            if name.endswith("affine.weight"):
                parameter.mul_(4)
    return G


def write_archive(path: Path, G: Generator, first: int, counts: dict[int, int], patient: str) -> None:
    with ArchiveWriter(path, compress_level=0) as archive:
        for index, count in counts.items():
            for image in generate_images(G, list(range(first, first + count)), [index] * count):
                archive.add(image, {"label": index, "identity": patient})
        archive.attach(CLASSES, CLASS_LIST)
        archive.attach(LINEAGE, LINEAGE_OF_TRAINING.to_dict())


def write_snapshots(folder: Path, networks: dict[float, Generator]) -> None:
    folder.mkdir()
    for kimg, network in networks.items():
        save_snapshot(folder / f"network-snapshot-{int(kimg):06d}.safetensors", network, kimg)
    write_json(folder / LINEAGE, LINEAGE_OF_TRAINING.to_dict())
    write_json(folder / CLASSES, CLASS_LIST)
    write_json(folder / RECORDS, [{"stage": "tile"}])


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    networks = {0.0: make_network(1), RIGHT: make_network(2), 8.0: make_network(3)}
    write_snapshots(folder / "snapshots", networks)
    write_archive(folder / "train.zip", networks[RIGHT], 10_000, {0: 40, 1: 24}, "t0")
    write_archive(folder / "held.zip", networks[RIGHT], 20_000, {0: 20, 1: 20}, "v0")
    write_archive(folder / "one_class.zip", networks[RIGHT], 20_000, {0: 20}, "v0")
    write_archive(folder / "seen.zip", networks[RIGHT], 20_000, {0: 20, 1: 20}, "t1")
    return folder


@pytest.fixture
def select(world: Path, tmp_path: Path) -> Callable[..., SimpleNamespace]:
    """Runs the stage on the world, other inputs and options by name; returns its record and the paths it wrote."""

    def call(**changed: object) -> SimpleNamespace:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        paths = {name: str(out / name) for name in ("generator", "selection_page", "selection_record")}
        inputs = {
            "snapshots": str(world / "snapshots"),
            "dataset": str(world / "train.zip"),
            "held_out": str(world / "held.zip"),
        }
        values = {"images": 60, "extractor_px": 64, "device": "cpu", **changed}
        shared = {name: values.pop(name) for name in SHARED if name in values}
        direct = {name: values.pop(name) for name in (*inputs, "seed") if name in values}
        options = parse(SelectionOptions, values, "selection")
        run(**{**paths, **inputs, **direct}, options=options, shared=parse(SharedOptions, shared, "shared"))
        record = json.loads(Path(paths["selection_record"]).read_text())
        return SimpleNamespace(page=paths["selection_page"], record=record, folder=Path(paths["generator"]))

    return call
