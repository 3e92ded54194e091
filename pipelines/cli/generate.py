"""`thygan generate`: images of a generator from their seeds, outside a study."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from components.core.data.file_names import CLASSES
from components.core.errors import ConfigError
from components.core.io.atomic_files import atomic_write, file_sha256, read_json
from components.core.io.os_errors import describe_os_errors
from components.core.runtime.progress import log, track

_COLUMNS = ("file", "class", "name", "seed", "psi", "generator", "sha256")


def generate(
    generator: Path,
    *,
    out: Path,
    seeds: str,
    classes: Annotated[str, Parameter(name="--class")] = "",
    psi: float = 1.0,
    noise: str = "const",
    batch: int = 32,
    device: str = "auto",
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Draws the images of seeds, one for each seed and class.

    No image is checked or dropped: near-copies of training tiles are dropped by the stage generate.

    Args:
        generator: Generator folder of fid_select, or a .safetensors with its JSON that gan_train wrote.
        out: Folder to make, with a PNG file per image and manifest.csv; it must not exist.
        seeds: Seeds, for example 1,2,5-10; both ends of a range belong to it.
        classes: Indices of classes, for example 0,2-3; empty = every class.
        psi: Truncation, 0 (every image the mean of its class) to 1 (none).
        noise: Noise inputs: const (an image depends on its seed alone), none, or random.
        batch: Images per pass; it changes no image by more than a grey level, unless noise is random.
        device: Device: auto, cpu, cuda or cuda:N.
        as_json: Print JSON.
    """
    from components.core.data.images import encode_png
    from components.core.runtime.device import pick_device
    from components.core.stylegan2.centres import centres_of
    from components.core.stylegan2.sampling import generate_images, parse_seeds
    from components.core.stylegan2.snapshot import load_generator, snapshot_file

    if out.exists():
        raise ConfigError(f"{out} exists: give the name of a folder that does not.")
    if batch < 1 or not 0 <= psi <= 1 or noise not in ("const", "none", "random"):
        raise ConfigError(
            f"batch is {batch}, psi {psi}, noise {noise!r}: give a batch of at least 1, psi in 0..1, and const, none "
            "or random."
        )
    numbers, on = parse_seeds(seeds), pick_device(device)
    G = load_generator(generator, on)
    indices, names = _class_indices(classes, G.c_dim), _class_names(generator)
    order = [(seed, index) for index in indices for seed in numbers]
    images = generate_images(
        G,
        [seed for seed, _ in order],
        [index for _, index in order],
        psi=psi,
        centres=centres_of(generator, G) if psi < 1 and G.c_dim else None,
        noise_mode=noise,
        batch=batch,
        device=on,
    )
    network_sha256 = file_sha256(snapshot_file(generator))
    with describe_os_errors(out), atomic_write(out) as folder:
        folder.mkdir()
        with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as table:
            rows = csv.writer(table, lineterminator="\n")
            rows.writerow(_COLUMNS)
            for (seed, index), image in zip(order, track(images, "drawing", len(order), "images"), strict=True):
                file = f"class{index}-seed{seed:04d}.png" if G.c_dim else f"seed{seed:04d}.png"
                png = encode_png(image)
                (folder / file).write_bytes(png)
                sha256 = hashlib.sha256(png).hexdigest()
                label = index if G.c_dim else ""
                rows.writerow([file, label, names.get(index, ""), seed, psi, network_sha256, sha256])
    if as_json:
        print(json.dumps({"out": str(out), "images": len(order), "classes": indices, "generator": network_sha256}))
    else:
        log(f"written: {out}: {len(order)} images")


def _class_indices(classes: str, c_dim: int) -> list[int]:
    """The classes to draw, [0] where the generator has none."""
    from components.core.stylegan2.sampling import parse_seeds

    if not classes:
        return list(range(max(c_dim, 1)))
    indices = parse_seeds(classes)
    if not set(indices) <= set(range(c_dim)):
        raise ConfigError(f"--class {classes}: the generator has {c_dim} classes, counted from 0; name some of them.")
    return indices


def _class_names(generator: Path) -> dict[int, str]:
    """Index -> name of the classes, where the generator's folder has them."""
    file = (generator if generator.is_dir() else generator.parent) / CLASSES
    return {one["index"]: one["name"] for one in read_json(file)} if file.exists() else {}
