"""`thygan export` and `thygan import`: generators for other programs, and from the official one."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from components.core.data.file_names import CLASSES, LINEAGE
from components.core.errors import ConfigError, DataError
from components.core.io.atomic_files import atomic_write, file_sha256, read_json, write_json
from components.core.io.os_errors import describe_os_errors
from components.core.runtime.progress import log

if TYPE_CHECKING:  # torch takes seconds to load, and --help needs none
    from torch import Tensor

    from components.core.stylegan2 import Generator

Format = Literal["torchscript", "onnx", "safetensors"]
Json = Annotated[bool, Parameter(name="--json")]

_FILES = {"torchscript": "generator.pt", "onnx": "generator.onnx", "safetensors": "generator.safetensors"}
_OFFICIAL = "network-snapshot-" + "[0-9]" * 6 + ".pkl"


def export(
    generator: Path,
    out: Path,
    *,
    format: Format = "torchscript",
    psi: float = 1.0,
    class_centres: bool = False,
    as_json: Json = False,
) -> None:
    """Writes a generator for other programs.

    TorchScript and ONNX files take latents z [N, z_dim] and, where there are classes, labels c [N, c_dim]. They return
    images [N, C, R, R] in [-1, 1], computed in float32 with the stored noise. Each is run, and its images compared with
    thygan's, before it is written. Next to it are generator.json (inputs and outputs), and from the generator's folder
    the patients that it has seen (lineage.json) and its classes (classes.json).

    Args:
        generator: Generator folder of fid_select, or a .safetensors with its JSON that gan_train wrote.
        out: Folder to make; it must not exist.
        format: torchscript (generator.pt), onnx (generator.onnx; needs thygan[onnx]) or safetensors (tensors by their
            official names).
        psi: Truncation, 0 (every image the mean) to 1 (none), fixed in the file; safetensors have none.
        class_centres: Truncate each class towards its own mean and not towards that of all.
        as_json: Print JSON.
    """
    from components.core.stylegan2.centres import centres_of
    from components.core.stylegan2.snapshot import load_centres, load_generator, save_snapshot, snapshot_file

    _check_new(out)
    if format == "safetensors" and (psi != 1 or class_centres):
        raise ConfigError("A safetensors file has no truncation: leave out --psi and --class-centres.")
    G, source = load_generator(generator), snapshot_file(generator)
    kimg = read_json(source.with_suffix(".json")).get("kimg")
    with describe_os_errors(out), atomic_write(out) as folder:
        folder.mkdir()
        target = folder / _FILES[format]
        outcome: dict[str, Any] = {"format": format}
        if format == "safetensors":
            save_snapshot(target, G, kimg, load_centres(generator))
        else:
            centres = centres_of(generator, G) if class_centres else None
            outcome |= {
                "psi": psi,
                "class_centres": class_centres,
                "difference": _write(target, format, G, psi, centres),
            }
            about = {"network": "Generator", "kimg": kimg, "arguments": G.arguments, "source": file_sha256(source)}
            write_json(target.with_suffix(".json"), {**about, **outcome, **_interface(G)})
        for name in (LINEAGE, CLASSES):
            if (source.parent / name).exists():
                shutil.copyfile(source.parent / name, folder / name)
        outcome |= {"file": str(out / target.name), "sha256": file_sha256(target)}
    if as_json:
        print(json.dumps(outcome, indent=1))
    else:
        difference = (
            f"; its images differ from thygan's by {outcome['difference']:.1g}" if "difference" in outcome else ""
        )
        log(f"written: {outcome['file']}{difference}")


def import_official(official: Path, out: Path, *, dataset: Path | None = None, as_json: Json = False) -> None:
    """Converts networks of the official StyleGAN2-ADA for PyTorch into thygan's files; nothing in them is executed.

    A .pkl becomes a Generator folder, which generate and export take. A folder of network-snapshot-KKKKKK.pkl becomes
    a snapshots folder, which fid_select takes. Both hold the moving average, G_ema. To train on from a .pkl, pass it to
    gan_train by --resume-from, with its discriminator. An official file does not list the patients that it has seen:
    where that matters, the origin must be stated with --trust-origin.

    Args:
        official: A .pkl, or a folder of network-snapshot-KKKKKK.pkl.
        out: Folder to make; it must not exist.
        dataset: GanDataset (zip) whose classes are the network's, in this order; none = the classes stay unnamed, and
            stages that need their names refuse the network.
        as_json: Print JSON.
    """
    from components.core.stylegan2 import Generator
    from components.core.stylegan2.official_pickle import read_official
    from components.core.stylegan2.snapshot import save_snapshot

    _check_new(out)
    files = sorted(official.glob(_OFFICIAL)) if official.is_dir() else [official]
    if not files:
        raise DataError(f"{official} holds no network-snapshot-KKKKKK.pkl: give the folder of an official training.")
    classes = _read_classes(dataset) if dataset else None
    rows = []
    with describe_os_errors(out), atomic_write(out) as folder:
        folder.mkdir()
        for path in files:
            snapshot = read_official(path)
            G = Generator(**snapshot.G_ema.arguments)
            G.load_state_dict(snapshot.G_ema.state)
            if classes is not None and len(classes) != G.c_dim:
                raise DataError(
                    f"{path} has {G.c_dim} classes and {dataset} {len(classes)}: name the data that it was trained on."
                )
            name = f"{path.stem}.safetensors" if official.is_dir() else _FILES["safetensors"]
            save_snapshot(folder / name, G, snapshot.kimg)
            row = {"file": str(out / name), "kimg": snapshot.kimg, "resolution": G.img_resolution, "c_dim": G.c_dim}
            rows.append({**row, "sha256": file_sha256(folder / name)})
            if not as_json:
                log(f"imported: {path.name}: {G.img_resolution} px, {G.c_dim} classes")
        if classes is not None:
            write_json(folder / CLASSES, classes)
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        log(f"written: {out}")


def _check_new(out: Path) -> None:
    if out.exists():
        raise ConfigError(f"{out} exists: give the name of a folder that does not.")


def _write(path: Path, format: Format, G: "Generator", psi: float, centres: "Tensor | None") -> float:
    from components.core.stylegan2.export import Exported, export_onnx, export_torchscript

    network = Exported(G, psi, centres)
    return export_onnx(path, network) if format == "onnx" else export_torchscript(path, network)


def _interface(G: "Generator") -> dict[str, Any]:
    """Inputs and outputs of the file, for the programs that run it."""
    classes = {"c": ["N", G.c_dim]} if G.c_dim else {}
    return {
        "inputs": {"z": ["N", G.z_dim], **classes},
        "outputs": {"images": ["N", G.img_channels, G.img_resolution, G.img_resolution]},
        "latents": "standard normal; a seed's are numpy.random.RandomState(seed).randn(1, z_dim)",
        "labels": "one-hot",
        "pixels": "uint8(clip(127.5 x + 128, 0, 255)), truncated",
    }


def _read_classes(dataset: Path) -> list[dict[str, Any]]:
    from components.core.data.archive import ImageArchive

    with ImageArchive(dataset) as archive:
        classes = archive.attachment(CLASSES)
    if not classes:
        raise DataError(f"{dataset} names no classes: give a GanDataset that pack wrote.")
    return classes
