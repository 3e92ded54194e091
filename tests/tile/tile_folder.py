"""A folder of small labelled images, and the tile stage over it."""

import csv
import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from components.core.options.parse import parse
from components.core.options.shared import SharedOptions
from components.tile.check import check
from components.tile.options import SHARED, TileOptions
from components.tile.stage import run

ROWS = [
    ("1a.png", "1", 1, "PTC"),
    ("1b.png", "1", 1, "PTC"),
    ("2a.png", "2", 0, "FA"),
    ("3a.png", "3", 0, "FTC"),
]


def write_image(path, width=40, height=24, seed=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def write_csv(path, rows, columns=("file", "patient", "class", "diagnosis")):
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def write_json(path, **value):
    Path(path).write_text(json.dumps(value))


def make_folder(folder, rows=ROWS, **image_options):
    """A source with `images/` and `meta.csv`."""
    for row in rows:
        name = f"{folder.name}/{row[0]}".encode()
        write_image(folder / "images" / row[0], seed=zlib.crc32(name), **image_options)
    write_csv(folder / "meta.csv", rows)
    return folder


def tile(out, *sources, **options):
    """Runs the stage with tiles of 16 px; returns its paths and the value that it returns."""
    paths = {name: out / f"{name}{kind}" for name, kind in OUTPUTS.items()}
    direct = {name: options.pop(name) for name in DIRECT if name in options}
    shared = parse(SharedOptions, {name: options.pop(name) for name in SHARED if name in options}, "shared")
    group = parse(TileOptions, {"tile_px": 16, **options}, "tile")
    files = {name: str(path) for name, path in paths.items()}
    arguments = {"mpp": {"*": "0.5"}, **files, **direct}
    paths["mpp_of_study"] = run(sources=[str(one) for one in sources], options=group, shared=shared, **arguments)
    return paths


def check_folder(folder, **options):
    """`check` of a folder, with tiles of 16 px."""
    direct = {name: options.pop(name) for name in ("labels", "site", "mpp", "tile_level") if name in options}
    return check(str(folder), options=parse(TileOptions, {"tile_px": 16, **options}, "tile"), **direct)


OUTPUTS = {
    "tiles": ".zip",
    "manifest": ".csv",
    "tile_page": ".html",
    "data_card": ".html",
    "card_values": ".json",
    "tile_record": ".json",
}
DIRECT = ("labels", "sites", "mpp", "target_mpp", "blind", "seed", "reference", "plan")
