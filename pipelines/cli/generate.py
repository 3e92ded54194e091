"""`thygan generate`: images of a generator by their seeds, outside a study."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from components.core.data.archive import CLASSES, encode_png
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

    Nothing is looked at and nothing dropped: near-copies of training tiles are the generate stage's business.

    Args:
        generator: Generator folder of fid_select, or a .safetensors with its JSON that gan_train wrote.
        out: Folder to make, with a PNG file per image and manifest.csv; it must not exist.
        seeds: Seeds as in 1,2,5-10; both ends of a range belong to it.
        classes: Indices of classes as in 0,2-3; empty = every class.
        psi: Truncation, 0 (every image the mean of its class) to 1 (none).
        noise: const (an image depends on its seed alone), none, or random.
        batch: Images per pass; it changes no image by more than a grey level, unless noise is random.
        device: auto, cpu, cuda or cuda:N.
        as_json: Print JSON.
    """
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
    kinds, names = _kinds(classes, G.c_dim), _names(generator)
    order = [(seed, kind) for kind in kinds for seed in numbers]
    images = generate_images(
        G,
        [seed for seed, _ in order],
        [kind for _, kind in order],
        psi=psi,
        centres=centres_of(generator, G) if psi < 1 and G.c_dim else None,
        noise_mode=noise,
        batch=batch,
        device=on,
    )
    drawn_by = file_sha256(snapshot_file(generator))
    with describe_os_errors(out), atomic_write(out) as folder:
        folder.mkdir()
        with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as table:
            rows = csv.writer(table, lineterminator="\n")
            rows.writerow(_COLUMNS)
            for (seed, kind), image in zip(order, track(images, "drawing", len(order), "images"), strict=True):
                file = f"class{kind}-seed{seed:04d}.png" if G.c_dim else f"seed{seed:04d}.png"
                png = encode_png(image)
                (folder / file).write_bytes(png)
                sha256 = hashlib.sha256(png).hexdigest()
                rows.writerow([file, kind if G.c_dim else "", names.get(kind, ""), seed, psi, drawn_by, sha256])
    if as_json:
        print(json.dumps({"out": str(out), "images": len(order), "classes": kinds, "generator": drawn_by}))
    else:
        log(f"written: {out}: {len(order)} images")


def _kinds(classes: str, c_dim: int) -> list[int]:
    """The classes to draw, [0] where the generator has none."""
    from components.core.stylegan2.sampling import parse_seeds

    if not classes:
        return list(range(max(c_dim, 1)))
    kinds = parse_seeds(classes)
    if not set(kinds) <= set(range(c_dim)):
        raise ConfigError(f"--class {classes}: the generator has {c_dim} classes, counted from 0; name some of them.")
    return kinds


def _names(generator: Path) -> dict[int, str]:
    """Names of classes, where the generator's folder has them."""
    file = (generator if generator.is_dir() else generator.parent) / CLASSES
    return {one["index"]: one["name"] for one in read_json(file)} if file.exists() else {}
