"""A world in which the generator is perfect: the real tiles are its own draws, from seeds the stage never takes."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from components.core.data.archive import ArchiveWriter
from components.core.data.file_names import CLASSES, GENERATOR, LINEAGE, RECORDS
from components.core.data.images import Pixels
from components.core.features.extractors import Extractor, load_extractor
from components.core.io.atomic_files import write_json
from components.core.options.parse import parse
from components.core.options.shared import SharedOptions
from components.core.protocol.lineage import Lineage
from components.core.protocol.split_plan import SplitPlan
from components.core.stylegan2 import Generator
from components.core.stylegan2.sampling import generate_images
from components.core.stylegan2.snapshot import save_snapshot
from components.generate.options import SHARED, GenerationOptions
from components.generate.stage import run

CLASS_LIST = [{"index": 0, "name": "FA+FTC", "label": 0}, {"index": 1, "name": "PTC", "label": 1}]
TRAIN = {0: 30, 1: 22}
HELD_OUT = 20  # of each class


@pytest.fixture(scope="session")
def extractor() -> Extractor:
    return load_extractor("efficientnet_lite0", input_px=64)


@pytest.fixture(scope="session")
def network() -> Generator:
    """Untrained, with styles so strong that its images differ in colour and texture."""
    torch.manual_seed(3)
    G = Generator(16, 2, 16, 32, channel_base=512, channel_max=16, mapping_layers=2)
    with torch.no_grad():
        for name, parameter in G.named_parameters():
            if name.endswith("affine.weight"):
                parameter.mul_(4)
            if name.endswith("noise_strength"):
                parameter.fill_(0.3)
    return G.eval().requires_grad_(False)


def draws(G: Generator, index: int, first: int, count: int) -> list[Pixels]:
    return list(generate_images(G, list(range(first, first + count)), [index] * count))


def write_archive(
    path: Path, tiles: dict[int, list[Pixels]], patient: str, lineage: Lineage, classes: list[dict] = CLASS_LIST
) -> None:
    with ArchiveWriter(path, compress_level=0) as archive:
        for index, images in tiles.items():
            for place, image in enumerate(images):
                archive.add(image, {"label": index, "identity": f"{patient}{place % 3}", "mpp": 0.5})
        archive.attach(CLASSES, classes)
        archive.attach(LINEAGE, lineage.to_dict())
        archive.attach(RECORDS, [])


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, network: Generator) -> SimpleNamespace:
    """Generator folder, GanDataset, HeldOut and plan of fold 0."""
    folder = tmp_path_factory.mktemp("world")
    plan = SplitPlan("key", {"0": {"train": ["t0", "t1", "t2"], "val": ["v0", "v1", "v2"], "test": ["x0"]}}, "test")
    plan.write(folder / "plan.json")
    lineage = Lineage("key", plan.digest, "0", "binary", ["t0", "t1", "t2"])
    train = {index: draws(network, index, 10_000, count) for index, count in TRAIN.items()}
    write_archive(folder / "train.zip", train, "t", lineage)
    held_out = {index: draws(network, index, 20_000, HELD_OUT) for index in TRAIN}
    write_archive(folder / "held.zip", held_out, "v", lineage)
    write_generator(folder / "generator", network, lineage)
    return SimpleNamespace(folder=folder, train=train, held_out=held_out, lineage=lineage, plan=plan)


def write_generator(folder: Path, G: Generator, lineage: Lineage) -> None:
    folder.mkdir()
    save_snapshot(folder / GENERATOR, G, 4)
    write_json(folder / LINEAGE, lineage.to_dict())
    write_json(folder / CLASSES, CLASS_LIST)
    write_json(folder / RECORDS, [{"stage": "gan_train"}])


@pytest.fixture
def generate(world: SimpleNamespace, tmp_path: Path) -> Callable[..., SimpleNamespace]:
    """Runs the stage on the world, other inputs and options by name; returns the paths of what it wrote."""

    def call(**changed: object) -> SimpleNamespace:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        paths = {name: str(out / name) for name in ("synthetic", "generation_page", "generation_record")}
        inputs = {
            "generator": str(world.folder / "generator"),
            "dataset": str(world.folder / "train.zip"),
            "held_out": str(world.folder / "held.zip"),
            "plan": str(world.folder / "plan.json"),
            "fold": "0",
        }
        values = {"extractor_px": 64, "device": "cpu", **changed}
        shared = {name: values.pop(name) for name in SHARED if name in values}
        direct = {name: values.pop(name) for name in (*inputs, "scheme", "arms", "seed") if name in values}
        options = parse(GenerationOptions, values, "generation")
        run(**{**paths, **inputs, **direct}, options=options, shared=parse(SharedOptions, shared, "shared"))
        return SimpleNamespace(
            synthetic=paths["synthetic"], page=paths["generation_page"], record=paths["generation_record"]
        )

    return call
