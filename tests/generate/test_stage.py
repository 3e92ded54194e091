"""The stage: what it writes, what it drops, what it refuses."""

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.core.data.archive import ImageArchive
from components.core.data.file_names import GENERATOR, RECORDS
from components.core.errors import ConfigError, DataError, LeakageError
from components.core.io.atomic_files import file_sha256
from components.core.protocol.split_plan import SplitPlan
from components.core.stylegan2.centres import class_centres
from components.core.stylegan2.sampling import generate_images
from components.generate.memorisation import orientations
from components.generate.sampling_plan import first_seed, latent_seed

from .conftest import CLASS_LIST, TRAIN, write_archive, write_generator


@pytest.fixture(scope="module")
def planted(world, network) -> Path:
    """The training archive with six tiles that the stage is about to draw, each turned another way."""
    copies = {
        index: list(
            generate_images(network, [latent_seed(first_seed(0, index), image) for image in range(3)], [index] * 3)
        )
        for index in TRAIN
    }
    turned = {index: [list(orientations(one))[place + 2] for place, one in enumerate(copies[index])] for index in TRAIN}
    path = world.folder / "planted.zip"
    write_archive(path, {index: world.train[index][3:] + turned[index] for index in TRAIN}, "t", world.lineage)
    return path


def test_planted_copies_are_dropped_and_replaced(generate, planted: Path) -> None:
    out = generate(dataset=str(planted), arms=["none", "bi100", "bi100-real", "mc"])
    record = json.loads(Path(out.record).read_text())
    with ImageArchive(out.synthetic) as made:
        manifest = made.manifest
        assert manifest["class"].value_counts().to_dict() == TRAIN
        for index in TRAIN:
            seeds = manifest.loc[manifest["class"] == index, "seed"].tolist()
            assert not set(seeds) & {latent_seed(first_seed(0, index), image) for image in range(3)}
            assert seeds == sorted(set(seeds))
        assert made.attachment("arms.json") == {"bi100": {"0": TRAIN[0], "1": TRAIN[1]}}
    assert record["near_copies"] >= 6
    assert record["near_copies"] <= 6 + 0.1 * sum(TRAIN.values())
    page = Path(out.page).read_text()
    assert "Dropped: generated left" in page
    assert "http" not in page


def test_manifest_row_and_attachments(generate, world, network) -> None:
    out = generate(arms=["bi200", "bi100"], psi=0.7, near_copy_gate=False)
    with ImageArchive(out.synthetic) as made:
        row = made.manifest.iloc[-1]
        assert (row["label"], row["class"], row["diagnosis"], row["site"], row["psi"]) == (
            1,
            1,
            "PTC",
            "synthetic",
            0.7,
        )
        assert (row["patient"], row["case"], row["identity"], row["mpp"]) == ("", "", "", 0.5)
        assert row["generator"] == file_sha256(world.folder / "generator" / GENERATOR)
        assert row["seed"] == latent_seed(first_seed(0, 1), 2 * TRAIN[1] - 1)
        alone = next(generate_images(network, [int(row["seed"])], [1], psi=0.7, centres=class_centres(network)))
        assert np.abs(made.read(row["file"]).astype(int) - alone.astype(int)).max() <= 1
        assert made.attachment("arms.json") == {"bi200": {"0": 60, "1": 44}, "bi100": {"0": 30, "1": 22}}
        assert made.attachment("lineage.json") == world.lineage.to_dict()
        assert made.attachment("classes.json") == CLASS_LIST
        assert [one["stage"] for one in made.attachment(RECORDS)] == ["gan_train", "generate"]
    record = json.loads(Path(out.record).read_text())
    assert record["tiles"] == len(ImageArchive(out.synthetic)) == 104
    assert {"arm": "bi100", "class": 1, "name": "PTC", "label": 1, "train_tiles": 22, "added": 22} in record["tables"][
        "arms"
    ]


def test_any_batch_gives_the_same_images(generate) -> None:
    archives = [ImageArchive(generate(batch=batch).synthetic) for batch in (3, 32)]
    first, second = (archive.manifest for archive in archives)
    assert first["seed"].tolist() == second["seed"].tolist()
    for a, b in zip(*(archive.images() for archive in archives), strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


def test_the_same_command_gives_the_same_bytes_apart_from_the_clock(generate) -> None:
    first, second = (ImageArchive(generate(near_copy_gate=False).synthetic) for _ in range(2))
    assert first.manifest.equals(second.manifest)


def test_two_devices_draw_what_one_draws(generate) -> None:
    """Two workers on one device stand for two devices: images, seeds and order are the same."""
    one, two = (ImageArchive(generate(device=device, batch=4).synthetic) for device in ("cpu", "cpu,cpu"))
    assert one.manifest.equals(two.manifest)


def test_parameter_files_say_seeds_and_counts(generate) -> None:
    params = '{"classes": [0, 1], "seeds": ["5-12", "0-3"], "class_map": [0, 1]}'
    out = generate(gan_params={"bi100": params}, near_copy_gate=False)
    with ImageArchive(out.synthetic) as made:
        assert made.manifest.groupby("class")["seed"].apply(list).to_dict() == {0: list(range(5, 12)), 1: [0, 1, 2]}
        assert made.attachment("arms.json") == {"bi100": {"0": 7, "1": 3}}


def test_the_card_is_in_the_archive_and_on_the_page(generate, world) -> None:
    out = generate()
    record = json.loads(Path(out.record).read_text())
    with ImageArchive(out.synthetic) as made:
        card = made.attachment("card.json")
    assert card["set"]["tiles"] == record["tiles"] == 52
    assert card["made"]["generator_sha256"] == file_sha256(world.folder / "generator" / GENERATOR)
    assert card["near_copies"]["dropped"] == record["near_copies"]
    assert card["classes"]["extractor_sha256"] == record["extractor_sha256"] != ""
    assert card["seen_by_the_generator"]["patients"] == 3
    page = Path(out.page).read_text()
    assert "synthetic-card.json" in page
    assert "Not made for" in page
    for row in record["tables"]["classes"]:
        assert row["recognised"] > 0.5
        assert row["alarm"] == ""


def test_memory_does_not_grow_with_the_images(generate) -> None:
    """Pixels that are alive at the end of a drawing are those that the page shows, whatever was drawn."""
    few, many = (
        _peak_bytes(lambda count=count: generate(gan_params={"bi100": _ranges(count)}, near_copy_gate=False))
        for count in (60, 400)
    )
    assert many - few < 340 * 32 * 32 * 3 / 2  # half of what the further images take


def _ranges(count: int) -> str:
    return json.dumps({"classes": [0, 1], "seeds": [f"0-{count}", "0-4"], "class_map": [0, 1]})


def _peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_no_arm_of_the_scheme_gives_an_empty_archive(generate) -> None:
    out = generate(arms=["none", "mc"])
    with ImageArchive(out.synthetic) as made:
        assert len(made) == 0
        assert made.attachment("arms.json") == {}


def test_binary_label_comes_from_the_class_map(generate, world, network, tmp_path: Path) -> None:
    """A diagnosis scheme whose class 0 is malignant: the label is the class map's, not the index."""
    classes = [{"index": 0, "name": "CPTC", "label": 1}, {"index": 1, "name": "FA", "label": 0}]
    lineage = replace(world.lineage, scheme="diagnosis")
    write_generator(tmp_path / "g", network, lineage)
    (tmp_path / "g" / "classes.json").write_text(json.dumps(classes))
    write_archive(tmp_path / "d.zip", world.train, "t", lineage, classes)
    out = generate(
        generator=str(tmp_path / "g"), dataset=str(tmp_path / "d.zip"), scheme="diagnosis", arms=["mc", "mc100"]
    )
    with ImageArchive(out.synthetic) as made:
        assert made.attachment("arms.json") == {"mc": {"1": 8}, "mc100": {"0": 30, "1": 38}}
        assert made.manifest.groupby("class")["label"].unique().to_dict() == {0: [1], 1: [0]}
        assert made.manifest["class"].value_counts().to_dict() == {0: 30, 1: 38}


@pytest.mark.parametrize("seen", ["v1", "x0"])
def test_a_generator_that_saw_an_unseen_patient_is_refused_by_its_hash(
    generate, world, network, tmp_path: Path, seen: str
) -> None:
    write_generator(tmp_path / "g", network, replace(world.lineage, patients=[*world.lineage.patients, seen]))
    with pytest.raises(LeakageError, match=rf"1 patient\(s\) .*\({seen}\)"):
        generate(generator=str(tmp_path / "g"))
    out = generate(generator=str(tmp_path / "g"), allow_leakage=True, near_copy_gate=False)
    assert json.loads(Path(out.record).read_text())["mark"].startswith("LEAKED")
    assert "LEAKED" in Path(out.page).read_text()


def test_an_origin_that_cannot_be_proven_must_be_stated(generate, world, network, tmp_path: Path) -> None:
    write_generator(tmp_path / "g", network, world.lineage)
    (tmp_path / "g" / "lineage.json").unlink()
    with pytest.raises(LeakageError, match="cannot be proven disjoint"):
        generate(generator=str(tmp_path / "g"))
    out = generate(generator=str(tmp_path / "g"), trust_origin="from the lab next door", near_copy_gate=False)
    with ImageArchive(out.synthetic) as made:
        assert made.attachment("lineage.json")["trusted"] == "from the lab next door"
    assert "from the lab next door" in Path(out.page).read_text()


def test_a_generator_that_draws_one_training_tile_is_an_error(generate, world, network, tmp_path: Path) -> None:
    """At psi 0 every image is its class's mean, and that lies among the training tiles."""
    mean = next(generate_images(network, [0], [0], psi=0.0, centres=class_centres(network)))
    (tmp_path / "in").mkdir()
    write_archive(tmp_path / "in" / "d.zip", {**world.train, 1: [mean, *world.train[1]]}, "t", world.lineage)
    with pytest.raises(DataError, match=r"120 of 120 images of class 0 .* has memorised them"):
        generate(dataset=str(tmp_path / "in" / "d.zip"), psi=0.0)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"psi": float("nan")}, ConfigError),
        ({"psi": 1.5}, ConfigError),
        ({"batch": 0}, ConfigError),
        ({"seed": -1}, ConfigError),
        ({"arms": ["bi300"]}, ConfigError),
        ({"device": "gpu"}, ConfigError),
        ({"extractor": "vgg"}, ConfigError),
        ({"scheme": "diagnosis", "arms": ["mc"]}, DataError),
        ({"fold": "7"}, DataError),
        ({"dataset": "absent.zip"}, DataError),
    ],
)
def test_bad_input_leaves_nothing(generate, tmp_path: Path, changed: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        generate(**changed)
    assert not list(tmp_path.rglob("*"))


def test_plan_of_another_key_is_refused(generate, world, tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    SplitPlan("other", world.plan.folds, "test").write(tmp_path / "plans" / "plan.json")
    with pytest.raises(LeakageError, match="key key, the plan's with other"):
        generate(plan=str(tmp_path / "plans" / "plan.json"))
