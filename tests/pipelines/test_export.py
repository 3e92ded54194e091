"""`thygan export` and `thygan import` as a user calls them: what is written, said, and assert_refused."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "core" / "stylegan2"))  # official_files
from official_files import write_official

from components.core.data.archive import ArchiveWriter
from components.core.io.atomic_files import file_sha256, read_json
from components.core.runtime.cli import execute
from components.core.stylegan2 import Discriminator, Generator
from components.core.stylegan2.centres import class_centres
from components.core.stylegan2.sampling import generate_images, latents, one_hot, to_uint8
from components.core.stylegan2.snapshot import load_centres, load_generator, save_snapshot
from pipelines.cli.app import app

WIDTH = {"channel_base": 128, "channel_max": 16}
CLASSES = [{"index": 0, "name": "benign", "label": "benign"}, {"index": 1, "name": "malignant", "label": "malignant"}]


def thygan(*arguments):
    execute(app, [str(one) for one in arguments])


def assert_refused(capsys, said, *arguments):
    """Calls `thygan`, which must end with one sentence on standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        thygan(*arguments)
    sentence = capsys.readouterr().err.rstrip("\n")
    assert ended.value.code == 1
    assert re.search(said, sentence), sentence
    assert "\n" not in sentence


def network(c_dim=2):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        G = Generator(8, c_dim, 8, 16, mapping_layers=2, **WIDTH).eval()
        G.mapping.w_avg.normal_()
    return G


@pytest.fixture
def generator(tmp_path):
    """A Generator folder."""
    folder = tmp_path / "generator"
    save_snapshot(folder / "generator.safetensors", network(), 12.5)
    (folder / "lineage.json").write_text('{"patients": ["k-1"]}')
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    return folder


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """A folder with two official snapshots, and a file of another name."""
    G = network().state_dict()
    D = Discriminator(2, 16, **WIDTH).state_dict()
    later = {name: value + 1 for name, value in G.items()}
    folder = tmp_path_factory.mktemp("official")
    files = {
        "network-snapshot-000400.pkl": {"networks": {"G": G, "D": D, "G_ema": later}},
        "network-snapshot-000200.pkl": {"networks": {"G": later, "D": D, "G_ema": G}},
        "best.pkl": {"networks": {"G": later, "D": D, "G_ema": G}},
    }
    write_official(folder, files)
    return folder


def test_a_torchscript_generator_draws_thygans_images(generator, tmp_path, capsys):
    thygan("export", generator, tmp_path / "out", "--psi=0.6", "--class-centres", "--json")
    said = json.loads(capsys.readouterr().out)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("classes.json", "generator.json", "generator.pt", "lineage.json")
    ]
    assert said["sha256"] == file_sha256(said["file"])
    assert said["difference"] < 1e-4
    about = read_json(tmp_path / "out/generator.json")
    assert about["source"] == file_sha256(generator / "generator.safetensors")
    assert (about["psi"], about["class_centres"], about["kimg"]) == (0.6, True, 12.5)
    assert about["inputs"] == {"z": ["N", 8], "c": ["N", 2]}
    assert about["outputs"] == {"images": ["N", 3, 16, 16]}
    drawn = torch.jit.load(said["file"])(torch.from_numpy(latents([3, 4], 8)).float(), one_hot([0, 1], 2))
    G = load_generator(generator)
    wanted = list(generate_images(G, [3, 4], [0, 1], psi=0.6, centres=class_centres(G)))
    assert np.abs(to_uint8(drawn).astype(int) - np.stack(wanted)).max() <= 1
    assert (tmp_path / "out/lineage.json").read_text() == (generator / "lineage.json").read_text()


def test_stored_class_centres_are_used(generator, tmp_path, capsys):
    G, centres = load_generator(generator), torch.ones(2, 8)
    save_snapshot(generator / "generator.safetensors", G, 12.5, centres)
    thygan("export", generator, tmp_path / "out", "--psi=0", "--class-centres")
    capsys.readouterr()
    drawn = torch.jit.load(tmp_path / "out/generator.pt")(torch.zeros(1, 8), torch.eye(2)[:1])
    with torch.no_grad():
        wanted = G.synthesis(torch.ones(1, G.num_ws, 8), noise_mode="const")
    torch.testing.assert_close(drawn, wanted, atol=1e-4, rtol=0)


def test_safetensors_go_out_as_they_came(generator, tmp_path, capsys):
    save_snapshot(generator / "generator.safetensors", load_generator(generator), 12.5, torch.ones(2, 8))
    thygan("export", generator / "generator.safetensors", tmp_path / "out", "--format=safetensors")
    assert capsys.readouterr().out == f"written: {tmp_path}/out/generator.safetensors\n"
    for name in ("generator.safetensors", "generator.json", "generator.centres.npy", "lineage.json", "classes.json"):
        assert (tmp_path / "out" / name).read_bytes() == (generator / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--psi=2"], "psi is 2.0: give a number from 0 to 1"),
        (["--psi=nan"], "psi is nan"),
        (["--format=safetensors", "--psi=0.7"], "has no truncation"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(generator, tmp_path, capsys, options, said):
    assert_refused(capsys, said, "export", generator, tmp_path / "out", *options)
    assert not list(tmp_path.glob("*out*"))


def test_nothing_is_overwritten(generator, official, tmp_path, capsys):
    for command, source in (("export", generator), ("import", official / "best.pkl")):
        assert_refused(capsys, "generator exists: give the name of a folder that does not", command, source, generator)
    assert_refused(capsys, r"no file .*absent", "export", tmp_path / "absent.safetensors", tmp_path / "out")


def test_an_official_file_becomes_a_generator_folder(official, tmp_path, capsys):
    with ArchiveWriter(tmp_path / "dataset.zip") as archive:
        archive.attach("classes.json", CLASSES)
    arguments = (official / "best.pkl", tmp_path / "out", "--dataset", tmp_path / "dataset.zip", "--json")
    thygan("import", *arguments)
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["kimg"], row["resolution"], row["c_dim"]) == (None, 16, 2)
    assert row["sha256"] == file_sha256(tmp_path / "out/generator.safetensors")
    assert read_json(tmp_path / "out/classes.json") == CLASSES
    images = [list(generate_images(G, [1, 2], [0, 1])) for G in (load_generator(tmp_path / "out"), network())]
    np.testing.assert_array_equal(*images)
    assert load_centres(tmp_path / "out") is None
    thygan("export", tmp_path / "out", tmp_path / "again")
    assert read_json(tmp_path / "again/generator.json")["kimg"] is None


def test_a_folder_of_official_files_becomes_snapshots(official, tmp_path, capsys):
    thygan("import", official, tmp_path / "out")
    assert "imported: network-snapshot-000200.pkl: 16 px, 2 classes\n" in capsys.readouterr().out
    names = [path.name for path in sorted((tmp_path / "out").glob("*.safetensors"))]
    assert names == ["network-snapshot-000200.safetensors", "network-snapshot-000400.safetensors"]
    first, later = (load_generator(tmp_path / "out" / name) for name in names)
    assert torch.equal(later.synthesis.b4.const, first.synthesis.b4.const + 1)
    assert [read_json(tmp_path / "out" / name.replace("safetensors", "json"))["kimg"] for name in names] == [200, 400]


def test_official_files_that_do_not_belong_are_refused(official, tmp_path, capsys):
    with ArchiveWriter(tmp_path / "three.zip") as archive:
        archive.attach("classes.json", [*CLASSES, {"index": 2, "name": "x", "label": "x"}])
    with ArchiveWriter(tmp_path / "unnamed.zip"):
        pass
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "torn.pkl").write_bytes((official / "best.pkl").read_bytes()[:1000])
    for arguments, said in (
        ((official / "best.pkl", "--dataset", tmp_path / "three.zip"), r"best\.pkl has 2 classes and .*three\.zip 3"),
        ((official / "best.pkl", "--dataset", tmp_path / "unnamed.zip"), r"unnamed\.zip names no classes"),
        ((empty,), r"empty holds no network-snapshot-KKKKKK\.pkl"),
        ((tmp_path / "torn.pkl",), r"torn\.pkl is torn"),
        ((tmp_path / "absent.pkl",), r"no file .*absent\.pkl"),
    ):
        assert_refused(capsys, said, "import", arguments[0], tmp_path / "out", *arguments[1:])
        assert not list(tmp_path.glob("*out*"))
