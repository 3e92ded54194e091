"""UMAP of source, external and synthetic tiles, and the domain gap in numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from components.core.data.archive import ImageArchive
from components.core.data.file_names import DOMAIN_GAP, RECORDS, UMAP_POINTS
from components.core.features.extract import features_of
from components.core.features.extractors import load_extractor
from components.core.html.pictures import thumbnail
from components.core.io.atomic_files import atomic_write, write_json, write_text
from components.core.options.shared import SharedOptions
from components.core.records.stage_record import StageRecord
from components.core.records.umap import GapRow, UmapRecord
from components.core.telemetry.stage import instrumented
from components.umap.domain_gap import domain_gap
from components.umap.layouts import project
from components.umap.map_tiles import SYNTHETIC, MapTiles, read_map_tiles
from components.umap.options import UmapOptions
from components.umap.page import page_html
from components.umap.picture import map_picture

BATCH = 32
# names of the coordinates: fitted on real tiles, and on the synthetic ones, too
AXES = ((("x", "y"), ("xs", "ys")), (("x3", "y3", "z3"), ("xs3", "ys3", "zs3")))


@instrumented
def run(
    *,
    tiles: str,
    external_tiles: str,
    external_labels: str,
    synthetic: Sequence[str],
    umap_page: str,
    gap: str,
    umap_record: str,
    seed: int = 0,
    options: UmapOptions = UmapOptions(),
    shared: SharedOptions = SharedOptions(),
) -> None:
    """Maps source, external and synthetic tiles by UMAP and measures the domain gap with and without synthetic tiles.

    Args:
        tiles: TileSet (zip) of the source.
        external_tiles: Blind TileSet (zip) of the external sites; '' or an empty one = no external sites.
        external_labels: Manifest (CSV) of the external tiles, with labels.
        synthetic: SyntheticTiles (zip) of the fold `all`, one per label scheme.
        umap_page: Interactive page (HTML) to write.
        gap: DomainGap (folder) to write: domain_gap.csv, umap.json, umap2d.png.
        umap_record: Record (JSON) to write.
        seed: Seed of the sample of tiles, of UMAP and of the intervals.
        options: Options of the stage.
        shared: Options that several stages share; `extractor_px`, `weights_dir` and `device` are read.

    Raises:
        DataError: No source tiles, or external labels that are not those of the external tiles.
        WeightsError: The extractor's weights are missing, or are not those that were registered.
    """
    with ImageArchive(tiles) as source:
        upstream = source.attachment(RECORDS)
    with StageRecord(umap_record, "umap", upstream=upstream, seed=seed) as record:
        everything = read_map_tiles(tiles, external_tiles, external_labels, synthetic)
        chosen = everything.sample(options.max_tiles, np.random.default_rng(seed), options.synthetic_each)
        network = load_extractor(
            options.extractor, weights_dir=shared.weights_dir, device=shared.device, input_px=shared.extractor_px
        )
        features = features_of(network, chosen.images(), BATCH, "umap: features", len(chosen.table))  # [n, d]
        table = domain_gap(chosen, features, options.neighbors, seed)
        points = _points(chosen, _layouts(chosen, features, options, seed))
        record.set(
            UmapRecord(
                tiles_there_are=len(everything.table),
                tiles=len(points),
                extractor=network.name,
                extractor_sha256=network.weights_sha256,
                extractor_trained=network.trained,
                extractor_px=network.input_px,
                extractor_resize=network.resize,
                neighbors=options.neighbors,
                min_dist=options.min_dist,
                gap=[GapRow(**{str(name): value for name, value in row.items()}) for row in table.to_dict("records")],
            )
        )
        with atomic_write(gap) as folder:
            folder.mkdir()
            table.to_csv(folder / DOMAIN_GAP, index=False)
            about = {"extractor": network.name, "neighbors": options.neighbors, "min_dist": options.min_dist}
            write_json(folder / UMAP_POINTS, {**about, "seed": seed, "points": points})
            Image.fromarray(map_picture(points)).save(folder / "umap2d.png")
            write_json(folder / RECORDS, record.chain())
        write_text(umap_page, page_html(points, table, network))


def _layouts(
    tiles: MapTiles, features: npt.NDArray[np.float32], options: UmapOptions, seed: int
) -> dict[str, npt.NDArray[np.float32]]:
    """Coordinates by axis name, 2-D and 3-D: fitted on real tiles; on the synthetic ones, too (`xs`, …, `zs3`)."""
    synthetic = (tiles.table["role"] == SYNTHETIC).to_numpy()
    axes: dict[str, npt.NDArray[np.float32]] = {}
    for apart, together in AXES:
        coordinates = np.empty((len(features), len(apart)), np.float32)
        coordinates[~synthetic], coordinates[synthetic] = project(
            features[~synthetic], features[synthetic], len(apart), options.neighbors, options.min_dist, seed
        )
        axes |= dict(zip(apart, coordinates.T, strict=True))
        if synthetic.any():
            coordinates, _ = project(features, features[:0], len(together), options.neighbors, options.min_dist, seed)
            axes |= dict(zip(together, coordinates.T, strict=True))
    return axes


def _points(tiles: MapTiles, axes: dict[str, npt.NDArray[np.float32]]) -> list[dict[str, Any]]:
    """A point per tile, as the map and the report read them."""
    coordinates = zip(*(np.round(values.astype(float), 4).tolist() for values in axes.values()), strict=True)
    return [
        {
            **dict(zip(axes, position, strict=True)),
            "role": row["role"],
            "domain": row["domain"],
            "class": row["class"],
            "diagnosis": row["diagnosis"],
            "patient": row["patient"],
            "arm": " + ".join(row["arms"]),
            "tile": thumbnail(image),
        }
        for position, row, image in zip(coordinates, tiles.table.to_dict("records"), tiles.images(), strict=True)
    ]
