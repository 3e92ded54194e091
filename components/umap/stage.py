"""UMAP of source, external and synthetic tiles, and the domain gap in numbers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from components.core.data.archive import ImageArchive
from components.core.features.extract import features_of
from components.core.features.extractors import load_extractor
from components.core.html.pictures import thumbnail
from components.core.io.atomic_files import atomic_write, write_json, write_text
from components.core.records.stage_record import RECORDS, StageRecord
from components.core.telemetry.stage import instrumented
from components.umap.domain_gap import domain_gap
from components.umap.domains import SYNTHETIC, Tiles, gather
from components.umap.layouts import projected
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
    page: str,
    gap: str,
    metrics: str,
    extractor: str = "resnet50",
    extractor_px: int = 224,
    weights_dir: str = "",
    neighbors: int = 15,
    min_dist: float = 0.1,
    max_tiles: int = 2000,
    synthetic_each: int = 0,
    seed: int = 0,
    device: str = "auto",
) -> None:
    """Maps source, external and synthetic tiles by UMAP and measures the domain gap with and without synthetic tiles.

    Args:
        tiles: TileSet of the source.
        external_tiles: Blind TileSet of the external sites; '' or an empty one where there are none.
        external_labels: Manifest CSV of the external tiles, with labels.
        synthetic: SyntheticTiles of the fold `all`, one per label scheme.
        page: Where the interactive HTML page is written.
        gap: Folder that is written: domain_gap.csv, umap.json, umap2d.png.
        metrics: Where the stage's record is written.
        extractor: Feature extractor by name.
        extractor_px: Side that tiles are resized to for the extractor, in pixels.
        weights_dir: Folder with network weights; '' = the registry's.
        neighbors: UMAP's neighbourhood size, also of the kNN mixing; at least 2.
        min_dist: Least distance of two points on the map, 0..1.
        max_tiles: Most tiles that enter, the same number from every domain.
        synthetic_each: Synthetic tiles of each class that enter, besides at most max_tiles real ones (Thy-GAN's figure
            has 750); 0 = as many as of every domain.
        seed: Of sampling, UMAP and the intervals.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        DataError: No source tiles, or external tiles without a row in the labels.
        WeightsError: The extractor's weights are missing or are not what they claim.
    """
    with ImageArchive(tiles) as source:
        upstream = source.attachment(RECORDS)
    with StageRecord(metrics, "umap", upstream=upstream, seed=seed) as record:
        chosen = gather(tiles, external_tiles, external_labels, synthetic)
        record["tiles_there_are"] = len(chosen.table)
        chosen = chosen.sampled(max_tiles, np.random.default_rng(seed), synthetic_each)
        network = load_extractor(extractor, weights_dir=weights_dir, device=device, input_px=extractor_px)
        features = features_of(network, chosen.images(), BATCH, "umap: features", len(chosen.table))  # [n, d]
        table = domain_gap(chosen, features, neighbors, seed)
        points = _points(chosen, _layouts(chosen, features, neighbors, min_dist, seed))
        record["tiles"] = len(points)
        for name, value in {**network.record(), "neighbors": neighbors, "min_dist": min_dist}.items():
            record[name] = value
        record.table("gap", table.to_dict("records"))
        with atomic_write(gap) as folder:
            folder.mkdir()
            table.to_csv(folder / "domain_gap.csv", index=False)
            about = {"extractor": network.name, "neighbors": neighbors, "min_dist": min_dist, "seed": seed}
            write_json(folder / "umap.json", {**about, "points": points})
            Image.fromarray(map_picture(points)).save(folder / "umap2d.png")
            write_json(folder / RECORDS, record.chain())
        write_text(page, page_html(points, table, network))


def _layouts(
    tiles: Tiles, features: npt.NDArray[np.float32], neighbors: int, min_dist: float, seed: int
) -> dict[str, npt.NDArray[np.float32]]:
    """Coordinates by axis name, 2-D and 3-D: fitted on real tiles; on the synthetic ones, too (`xs`, …, `zs3`)."""
    synthetic = (tiles.table["role"] == SYNTHETIC).to_numpy()
    axes: dict[str, npt.NDArray[np.float32]] = {}
    for apart, together in AXES:
        placed = np.empty((len(features), len(apart)), np.float32)
        placed[~synthetic], placed[synthetic] = projected(
            features[~synthetic], features[synthetic], len(apart), neighbors, min_dist, seed
        )
        axes |= dict(zip(apart, placed.T, strict=True))
        if synthetic.any():
            placed, _ = projected(features, features[:0], len(together), neighbors, min_dist, seed)
            axes |= dict(zip(together, placed.T, strict=True))
    return axes


def _points(tiles: Tiles, axes: dict[str, npt.NDArray[np.float32]]) -> list[dict[str, object]]:
    """A point per tile, as the map and the report read them."""
    places = zip(*(np.round(values.astype(float), 4).tolist() for values in axes.values()), strict=True)
    return [
        {
            **dict(zip(axes, place, strict=True)),
            "role": row["role"],
            "domain": row["domain"],
            "class": row["class"],
            "diagnosis": row["diagnosis"],
            "patient": row["patient"],
            "arm": " + ".join(row["arms"]),
            "tile": thumbnail(image),
        }
        for place, row, image in zip(places, tiles.table.to_dict("records"), tiles.images(), strict=True)
    ]
