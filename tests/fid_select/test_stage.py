"""Selection in a world whose right answer is known: the real tiles are draws of one of the snapshots."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from components.core.data.file_names import CLASSES, LINEAGE, RECORDS
from components.core.errors import ConfigError, DataError, LeakageError
from components.core.features.extractors import load_extractor
from components.core.io.atomic_files import file_sha256, write_json
from components.core.stylegan2 import Generator
from components.core.stylegan2.snapshot import load_generator, save_snapshot

from .conftest import CLASS_LIST, LINEAGE_OF_TRAINING, RIGHT, make_network, write_archive


@pytest.mark.parametrize("rule", ["kid_held_out", "fid_train"])
def test_the_network_that_the_data_come_from_is_chosen(select, world: Path, rule: str) -> None:
    out = select(rule=rule)
    record = out.record
    assert record["chosen_kimg"] == RIGHT
    assert [row["chosen"] for row in record["tables"]["snapshots"]] == [False, True, False]
    right = record["tables"]["snapshots"][1]
    assert record["fid"] == right["fid"] == min(row["fid"] for row in record["tables"]["snapshots"])
    assert abs(right["kid"]) < 3 * right["kid_se"]  # same distribution: unbiased around 0
    assert abs(right["kid_held_out"]) < 3 * right["kid_held_out_se"]
    assert min(right["precision"], right["recall"]) > 0.5
    for row in (record["tables"]["snapshots"][0], record["tables"]["snapshots"][2]):
        assert row["kid"] > 3 * row["kid_se"]
        assert row["precision"] + row["recall"] < right["precision"] + right["recall"]
        pairs = zip(row["classes"], right["classes"], strict=True)
        assert all(one["kid"] > 5 * abs(of_right["kid"]) for one, of_right in pairs)
    snapshot = world / "snapshots" / "network-snapshot-000004.safetensors"
    assert file_sha256(out.folder / "generator.safetensors") == file_sha256(snapshot)


def test_a_rare_class_is_measured_too(select, world: Path) -> None:
    write_archive(world / "rare.zip", make_network(2), 30_000, {0: 90, 1: 3}, "t0")
    for row in select(dataset=str(world / "rare.zip"), images=8).record["tables"]["snapshots"]:
        assert all(one["kid"] is not None for one in row["classes"])


def test_generator_folder_carries_its_evidence(select) -> None:
    out = select()
    assert load_generator(out.folder).img_resolution == 32
    assert json.loads((out.folder / LINEAGE).read_text()) == LINEAGE_OF_TRAINING.to_dict()
    assert json.loads((out.folder / CLASSES).read_text()) == CLASS_LIST
    assert [one["stage"] for one in json.loads((out.folder / RECORDS).read_text())] == ["tile", "fid_select"]
    selection = json.loads((out.folder / "selection.json").read_text())
    assert selection["sha256"] == file_sha256(out.folder / "generator.safetensors")
    assert selection["rule"] == "kid_held_out"
    assert selection["extractor_sha256"] == load_extractor("efficientnet_lite0").weights_sha256
    assert (selection["extractor"], selection["extractor_px"], selection["images"]) == ("efficientnet_lite0", 64, 60)
    page = Path(out.page).read_text()
    assert "efficientnet_lite0 at 64 px" in page
    assert "http" not in page


def test_distances_are_of_the_images_that_the_seeds_name(select, world: Path) -> None:
    """Drawn again by hand: same classes' shares, same z for every snapshot, whatever the batch."""
    first, second = (select(batch=batch).record["tables"]["snapshots"] for batch in (7, 64))
    for a, b in zip(first, second, strict=True):
        assert a["fid"] == pytest.approx(b["fid"], rel=1e-3)
        assert a["kid"] == pytest.approx(b["kid"], abs=1e-4)
    other = select(seed=1).record["tables"]["snapshots"][1]
    assert other["fid"] != pytest.approx(first[1]["fid"], rel=1e-3)


@pytest.mark.parametrize(
    ("held_out", "why"),
    [
        ("one_class.zip", "HeldOut has 0 tiles of class PTC, fewer than 8"),
        ("seen.zip", "patients were seen in training"),
    ],
)
def test_held_out_tiles_that_cannot_decide_are_not_asked(select, world: Path, held_out: str, why: str) -> None:
    record = select(held_out=str(world / held_out)).record
    assert why in record["reason"]
    assert any(why in note for note in record["tables"]["notes"])
    assert record["chosen_kimg"] == RIGHT


def test_untrained_snapshot_is_selectable_only_alone(select, world: Path, tmp_path: Path) -> None:
    """The untrained snapshot is the best here, and yet not chosen beside a trained one."""
    folder = tmp_path / "snapshots"
    folder.mkdir()
    for name in (LINEAGE, CLASSES):
        (folder / name).write_bytes((world / "snapshots" / name).read_bytes())
    save_snapshot(folder / "network-snapshot-000000.safetensors", make_network(2), 0)
    assert select(snapshots=str(folder)).record["chosen_kimg"] == 0
    save_snapshot(folder / "network-snapshot-000001.safetensors", make_network(3), 1)
    assert select(snapshots=str(folder)).record["chosen_kimg"] == 1


def test_untrained_extractor_is_marked_loudly(select) -> None:
    out = select(extractor="resnet50@random", extractor_px=32, images=16)
    assert out.record["extractor_trained"] is False
    assert out.record["extractor"] == "resnet50@random"
    assert any("UNTRAINED" in note for note in out.record["tables"]["notes"])
    assert "UNTRAINED" in Path(out.page).read_text()


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"rule": "best"}, ConfigError, "kid_held_out, fid_train"),
        ({"images": 4}, ConfigError, "raise --images"),
        ({"images": 0}, ConfigError, "at least 1"),
        ({"batch": 0}, ConfigError, "at least 1"),
        ({"seed": -1}, ConfigError, "at least 0"),
        ({"snapshots": "absent"}, DataError, "holds no network-snapshot"),
        ({"dataset": "absent.zip"}, DataError, "no archive"),
        ({"extractor": "vgg"}, ConfigError, "no feature extractor"),
    ],
)
def test_bad_input_leaves_nothing(select, tmp_path: Path, changed: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        select(**changed)
    assert not list(tmp_path.rglob("*"))


def test_snapshots_of_other_classes_size_or_no_lineage(select, world: Path, tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    small = Generator(16, 2, 16, 16, channel_base=512, channel_max=16, mapping_layers=2)
    save_snapshot(folder / "network-snapshot-000001.safetensors", small, 1)
    with pytest.raises(LeakageError, match=r"no lineage\.json"):
        select(snapshots=str(folder))
    write_json(folder / LINEAGE, replace(LINEAGE_OF_TRAINING, fold="1").to_dict())
    write_json(folder / CLASSES, CLASS_LIST[::-1])
    with pytest.raises(DataError, match="different classes"):
        select(snapshots=str(folder))
    write_json(folder / CLASSES, CLASS_LIST)
    with pytest.raises(DataError, match="draws 16 px and the tiles have 32 px"):
        select(snapshots=str(folder))
