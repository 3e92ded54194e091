"""Every format that is read from outside: a small sound example, its damage, and how it is read."""

import io
import json
import struct
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from PIL import Image

from components.core.checkpoint.lease import ObjectLease, _Claim
from components.core.checkpoint.state_file import _HEADER, _digest, read_state, write_state
from components.core.classifier.frozen import CLASSIFIERS, FrozenClassifier, read_classifiers, write_classifiers
from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.data.archive_reference import ArchiveReference
from components.core.data.content_hash import content_hash
from components.core.data.manifest import read_manifest
from components.core.errors import ConfigError
from components.core.features.backbones import build_backbone
from components.core.io.atomic_files import file_sha256
from components.core.protocol.lineage import Lineage
from components.core.protocol.split_plan import SplitPlan
from components.core.protocol.study_plan import StudyPlan
from components.core.statistics.predictions import read_predictions
from components.core.store.base import SmallObject
from components.core.stylegan2 import Discriminator, Generator
from components.core.stylegan2.official_pickle import read_official
from components.core.stylegan2.snapshot import load_centres, load_generator, save_snapshot
from components.tile.image_sources import open_source
from components.tile.images import UnusableImageError, open_rgb
from components.tile.labels import find_labels, merge_labels

sys.path.insert(0, str(Path(__file__).parents[1] / "core/stylegan2"))
sys.path.insert(0, str(Path(__file__).parent))
from mutations import changed, damaged, damages, odd_changes
from official_files import write_official

Damage = Any
Same = Callable[[Any], bool]


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        strategy: Draws damage.
        write: Puts a damaged example into a folder.
        read: Reads it whole; what a user of the format would touch is touched.
        is_same: Whether what was read is what was written: asked where a checksum promises that; None = none does.
    """

    strategy: st.SearchStrategy
    write: Callable[[Path, Damage], None]
    read: Callable[[Path], Any]
    is_same: Same | None = None


def make_formats(folder: Path) -> dict[str, Format]:
    """All of them; sound examples are written to `folder` once."""
    return {
        **_archives(folder),
        **_sources(folder),
        **_snapshots(folder),
        **_checkpoints(folder),
        **_official(folder),
        **_tables(folder),
        **_plans(folder),
        **_classifiers(folder),
        **_images(),
        **_notes(),
        **_references(),
    }


def _of_bytes(name: str, data: bytes, read: Callable[[Path], Any], is_same: Same | None = None) -> Format:
    def write(folder: Path, damage: Damage) -> None:
        (folder / name).write_bytes(damaged(data, damage))

    return Format(damages(), write, lambda folder: read(folder / name), is_same)


def _of_json(name: str, value: Any, read: Callable[[Path], Any]) -> Format:
    def write(folder: Path, changes: Damage) -> None:
        (folder / name).write_text(json.dumps(changed(value, changes)))

    return Format(odd_changes(), write, lambda folder: read(folder / name))


def _pixels(seed: int, side: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def _row(seed: int) -> dict[str, Any]:
    return {"label": seed % 2, "patient": str(seed), "case": str(seed), "site": "a", "identity": f"k-{seed}", "x": 0}


def _archives(folder: Path) -> dict[str, Format]:
    path = folder / "archive.zip"
    with ArchiveWriter(path) as archive:
        for seed in range(4):
            archive.add(_pixels(seed), _row(seed))
        archive.attach("lineage.json", {"key_id": "k", "patients": ["k-0"]})
    with zipfile.ZipFile(path) as made:
        entries = {name: made.read(name) for name in made.namelist()}
    sound = {name: _pixels(seed).tobytes() for seed, name in enumerate(sorted(n for n in entries if "img" in n))}

    def read(path: Path) -> dict[str, bytes]:
        assert len(content_hash(path)) == 64
        with ImageArchive(path) as archive:
            for name in ("lineage.json", "dataset.json", "records.json"):
                archive.attachment(name)
            return {name: archive.read(name).tobytes() for name in archive.manifest["file"]}

    def write(folder: Path, given: Damage) -> None:
        which, damage, compression = given
        name = sorted(entries)[which % len(entries)]
        with zipfile.ZipFile(folder / "x.zip", "w", compression) as made:
            for one, data in entries.items():
                made.writestr(one, damaged(data, damage) if one == name else data)

    entry = st.tuples(st.integers(0, 99), damages(), st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    is_same: Same = lambda found: all(sound.get(name, pixels) == pixels for name, pixels in found.items())  # noqa: E731
    return {
        "image archive": _of_bytes("x.zip", path.read_bytes(), read, is_same),
        "entry of an image archive": Format(entry, write, lambda folder: read(folder / "x.zip")),
    }


def _png(seed: int, side: int = 8, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(_pixels(seed, side)).save(buffer, form)
    return buffer.getvalue()


def _sources(folder: Path) -> dict[str, Format]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for seed in range(3):
            made.writestr(f"images/{seed}a.png", _png(seed))
        made.writestr("images/dataset.json", json.dumps({"labels": [[f"{seed}a.png", 0] for seed in range(3)]}))

    def read(path: Path) -> None:
        place = open_source(str(path), path.parent)
        for name in place.file_names():
            try:
                place.fetch(name, path.parent / "scratch")
            except UnusableImageError:
                continue
        merge_labels(find_labels(place))

    def labels(path: Path) -> None:
        merge_labels(find_labels(open_source(str(path.parent), path.parent)))

    value = {"labels": [["a.png", 0], ["b.png", 1]], "meta": [["a.png", 0, "1", "PTC"], ["b.png", 1, "2", "FA"]]}
    table = "file,class,patient,diagnosis,site,case\na.png,0,1,FA,x,1\nb.png,1,2,PTC,x,2\n"
    return {
        "zip of images": _of_bytes("x.zip", buffer.getvalue(), read),
        "labels (JSON)": _of_json("labels.json", value, labels),
        "labels (CSV)": _of_bytes("labels.csv", table.encode(), labels),
    }


def _generator() -> Generator:
    torch.manual_seed(0)
    return Generator(4, 2, 4, 8, mapping_layers=2, channel_base=32, channel_max=8)


def _bits(state: dict[str, Any]) -> dict[str, bytes]:
    return {name: value.contiguous().numpy().tobytes() for name, value in state.items()}


def _snapshots(folder: Path) -> dict[str, Format]:
    G = _generator()
    path = folder / "snapshot" / "G.safetensors"
    save_snapshot(path, G, 1.0, torch.zeros(2, 4))
    files = {name: (path.parent / name).read_bytes() for name in ("G.safetensors", "G.json", "G.centres.npy")}
    sound = _bits(G.state_dict())

    def read(path: Path) -> dict[str, bytes]:
        network = load_generator(path.with_name("G.safetensors"))
        load_centres(path.with_name("G.safetensors"))
        return _bits(network.state_dict())

    def beside(one: Format, name: str) -> Format:
        def write(folder: Path, damage: Damage) -> None:
            for other, data in files.items():
                (folder / other).write_bytes(data)
            one.write(folder, damage)

        return Format(one.strategy, write, one.read, one.is_same)

    formats = {
        "snapshot (tensors)": _of_bytes("G.safetensors", files["G.safetensors"], read, sound.__eq__),
        "snapshot (JSON)": _of_json("G.json", json.loads(files["G.json"]), read),
        "class centres": _of_bytes("G.centres.npy", files["G.centres.npy"], read, sound.__eq__),
    }
    return {name: beside(one, name) for name, one in formats.items()}


def _state() -> dict[str, Any]:
    G = _generator()
    optimizer = torch.optim.Adam(G.parameters())
    G(torch.zeros(2, 4), torch.eye(2)).sum().backward()
    optimizer.step()
    return {
        "training": {"G": G.state_dict(), "optimizer": optimizer.state_dict(), "images_seen": 8},
        "rows": [1, (2.5,)],
    }


def _checkpoints(folder: Path) -> dict[str, Format]:
    path, state = folder / "checkpoint.safetensors", _state()
    write_state(path, state, {"step": 8, "config": {"batch": 4}})
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    own = json.loads(header["__metadata__"][_HEADER])
    with_tensors = read_state(path)
    tensors = dict(_tensors_of(path))

    def write(folder: Path, changes: Damage) -> None:
        """With a digest that fits: what a stranger would do, not what a disk does."""
        odd = changed({key: value for key, value in own.items() if key != "sha256"}, changes)
        if isinstance(odd, dict):
            try:
                odd["sha256"] = _digest(odd, tensors)
            except (UnicodeEncodeError, ValueError):
                odd["sha256"] = ""
        outer = json.dumps({**header, "__metadata__": {_HEADER: json.dumps(odd)}}).encode()
        (folder / "x").write_bytes(struct.pack("<Q", len(outer)) + outer + data[8 + length :])

    def is_same(found: Any) -> bool:
        return repr(found) == repr(with_tensors)

    return {
        "checkpoint": _of_bytes("x", data, read_state, is_same),
        "checkpoint (digest made to fit)": Format(odd_changes(), write, lambda folder: read_state(folder / "x")),
    }


def _tensors_of(path: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(path)


def _official(folder: Path) -> dict[str, Format]:
    torch.manual_seed(0)
    networks = {
        "G": Generator(4, 2, 4, 8, mapping_layers=2, channel_base=32, channel_max=8),
        "D": Discriminator(2, 8, channel_base=32, channel_max=8),
    }
    states = {name: {key: one.numpy() for key, one in net.state_dict().items()} for name, net in networks.items()}
    path = write_official(folder, {"o.pkl": {"networks": {**states, "G_ema": states["G"]}}})["o.pkl"]
    return {"official pickle": _of_bytes("x.pkl", path.read_bytes(), read_official)}


def _tables(folder: Path) -> dict[str, Format]:
    with ImageArchive(folder / "archive.zip") as archive:
        manifest = archive.read_bytes("manifest.csv")
    rows = "tile,patient,case,site,diagnosis,class,pred_class,prob_positive,arm,fold,seed\n" + "".join(
        f"{i}.png,{i},{i},a,PTC,{i % 2},1,0.75,none,0,0\n" for i in range(4)
    )
    return {
        "manifest": _of_bytes("x.csv", manifest, read_manifest),
        "predictions": _of_bytes("x.csv", rows.encode(), read_predictions),
    }


def _plans(folder: Path) -> dict[str, Format]:
    parts = {"train": ["k-0", "k-1"], "val": ["k-2"], "test": ["k-3"]}
    split = SplitPlan("k", {"0": parts, "all": {**parts, "test": []}}, "made", ("a note",))
    study = StudyPlan(["none", "bi100"], [0, 1], class_map={"FA": 0, "PTC": 1})
    lineage = Lineage("k", split.digest, "0", "binary", ["k-0"])
    study.write(folder / "study.json")
    of_plan: Callable[[Path], Any] = lambda path: SplitPlan.read(path).part("0", "val", "test")  # noqa: E731
    return {
        "split plan": _of_json("x.json", split.to_dict(), of_plan),
        "split plan (bytes)": _of_bytes("x.json", json.dumps(split.to_dict()).encode(), of_plan),
        "study plan": _of_json("x.json", json.loads((folder / "study.json").read_text()), StudyPlan.read),
        "lineage": _of_json("x.json", lineage.to_dict(), Lineage.read),
    }


def _classifiers(folder: Path) -> dict[str, Format]:
    from safetensors.torch import save

    weights = save(build_backbone("resnet18", num_classes=2, pretrained=False).module.state_dict())
    (folder / "w").write_bytes(weights)
    digest = file_sha256(folder / "w")
    one = FrozenClassifier("none", 0, "0", "binary", "w.st", digest, "resnet18", 32, 8, 0.5, 0.5, None, "", "plan")
    write_classifiers(folder, [one])
    value = json.loads((folder / CLASSIFIERS).read_text())

    def read(path: Path) -> None:
        for found in read_classifiers(path.parent):
            found.load(path.parent, torch.device("cpu"))

    def write(folder: Path, changes: Damage) -> None:
        (folder / "w.st").write_bytes(b"not the file that was frozen")
        (folder / CLASSIFIERS).write_text(json.dumps(changed(value, changes)))

    return {"classifiers": Format(odd_changes(), write, lambda folder: read(folder / CLASSIFIERS))}


def _images() -> dict[str, Format]:
    def read(path: Path) -> None:
        np.asarray(open_rgb(path))

    kinds = {"PNG": "png", "JPEG": "jpg", "TIFF": "tif"}
    return {f"{form} image": _of_bytes(f"x.{end}", _png(0, 24, form), read) for form, end in kinds.items()}


def _notes() -> dict[str, Format]:
    claim = json.loads(_Claim("host", "now", "token", 60.0).encode())

    def read(path: Path) -> None:
        found = _Claim.decode(SmallObject(path.read_bytes(), "v", 0.0))
        assert 0 < found.expiry_s <= 3600, found

    assert ObjectLease
    return {
        "lease": _of_json("x.json", claim, read),
        "lease (bytes)": _of_bytes("x.json", json.dumps(claim).encode(), read),
    }


def _references() -> dict[str, Format]:
    sound = asdict(ArchiveReference(f"s3://bucket/prefix/{64 * 'a'}.zip", 1000, 64 * "a", 64 * "b"))

    def read(path: Path) -> None:
        """It leads nowhere: no place of archives is named."""
        with suppress(ConfigError):
            ImageArchive(path).close()

    return {
        "reference": _of_json("x.zip", sound, read),
        "reference (bytes)": _of_bytes("x.zip", json.dumps(sound).encode(), read),
    }
