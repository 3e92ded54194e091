"""The cards of a generator and of its tiles, from the records that the stages before them really write."""

import json
from pathlib import Path

import numpy as np
import pytest

from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.data.file_names import RECORDS
from components.core.html.card import card_section
from components.core.options.shared import SharedOptions
from components.core.protocol.split_plan import SplitPlan
from components.fid_select.options import SelectionOptions
from components.fid_select.stage import run as select
from components.gan_train.options import GanOptions
from components.gan_train.stage import run as train
from components.generate.options import GenerationOptions
from components.generate.stage import run as generate
from components.pack.stage import run as pack

SIDE = 32
PATIENTS = {f"key-{number}": number % 2 for number in range(6)}  # identity -> class
TILES_EACH = 12
NETWORK = {"channel_base": 256, "channel_max": 16, "mapping_layers": 2, "latent_dim": 16, "threads": 1}
SHARED_OPTIONS = SharedOptions(extractor_px=32, device="cpu")


def write_tiles(path: Path) -> None:
    rng = np.random.default_rng(0)
    with ArchiveWriter(path) as archive:
        for person, kind in PATIENTS.items():
            for _ in range(TILES_EACH):
                image = rng.integers(60, 120, (SIDE, SIDE, 3)) + np.array([80 * (1 - kind), 0, 80 * kind])
                archive.add(
                    image.astype(np.uint8),
                    {
                        "patient": person,
                        "case": person,
                        "site": "Home",
                        "identity": person,
                        "label": kind,
                        "diagnosis": ("FA", "PTC")[kind],
                        "mpp": 0.5,
                    },
                )
        archive.attach(RECORDS, [{"stage": "tile"}])


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pack, gan_train, fid_select and generate, one after another, on the smallest networks."""
    folder = tmp_path_factory.mktemp("chain")

    def at(*names: str) -> dict[str, str]:
        return {name: str(folder / name) for name in names}

    write_tiles(folder / "tiles")
    people = sorted(PATIENTS)
    SplitPlan("key", {"0": {"train": people[:4], "val": people[4:], "test": []}}, "by hand").write(folder / "plan")
    pack(**at("tiles", "plan", "dataset", "held_out"), pack_record=str(folder / "pack.json"), fold="0")
    train(
        **at("dataset", "snapshots"),
        gan_page=str(folder / "gan_train.html"),
        gan_record=str(folder / "gan_train.json"),
        options=GanOptions(kimg=0.032, batch=8, **NETWORK),
        shared=SharedOptions(device="cpu"),
    )
    select(
        **at("snapshots", "dataset", "held_out", "generator", "selection_page", "selection_record"),
        options=SelectionOptions(images=40),
        shared=SHARED_OPTIONS,
    )
    generate(
        **at("generator", "dataset", "held_out", "plan", "synthetic", "generation_page", "generation_record"),
        fold="0",
        options=GenerationOptions(near_copy_gate=False),
        shared=SHARED_OPTIONS,
    )
    return folder


def test_a_generators_card_states_everything(chain: Path) -> None:
    card = json.loads((chain / "generator/card.json").read_text())
    assert "not stated" not in card_section(card, "card.json")
    trained, packed = (json.loads((chain / f"{stage}.json").read_text()) for stage in ("gan_train", "pack"))
    training = card["training"]
    assert (training["resume_from"], training["stopped"]) == ("new weights", "no")
    for name in set(training) - {"resume_from", "stopped"}:
        assert training[name] == trained[name], name
    assert (training["batch"], training["kimg"]) == (8, pytest.approx(0.032))
    assert card["seen"]["tiles"] == packed["tiles"] == 4 * TILES_EACH
    assert card["seen"]["tiles_of_classes"] == [f"FA: {2 * TILES_EACH}", f"PTC: {2 * TILES_EACH}"]
    assert card["seen"]["patients"] == 4


def test_the_tiles_card_states_everything(chain: Path) -> None:
    with ImageArchive(chain / "synthetic") as made:
        card, records = made.attachment("card.json"), made.attachment(RECORDS)
    assert [one["stage"] for one in records] == ["tile", "pack", "gan_train", "fid_select", "generate"]
    assert "not stated" not in card_section(card, "card.json")
    assert card["seen_by_the_generator"]["patients"] == 4


def test_a_network_that_began_with_another_names_its_file(chain: Path, tmp_path: Path) -> None:
    start = chain / "generator" / "generator.safetensors"
    train(
        dataset=str(chain / "dataset"),
        **{name: str(tmp_path / name) for name in ("snapshots", "gan_page", "gan_record")},
        options=GanOptions(resume_from=str(start), kimg=0.016, batch=8, **NETWORK),
        shared=SharedOptions(device="cpu"),
    )
    assert json.loads((tmp_path / "gan_record").read_text())["resume_from"] == start.name
