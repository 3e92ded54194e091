"""The page of a synthetic set: real beside generated tiles, near-copies, the fidelity of each class, the card."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.core.data.images import Pixels
from components.core.html.card import Card, card_section
from components.core.html.pictures import data_uri, image_grid, resize
from components.core.html.render import render_page
from components.core.html.table import DASH, Cell
from components.core.records.generate import ClassFidelityRow, GenerationRecord
from components.generate.inspection import ImagePair, NearCopyLog

_TILE_PX, _COLUMNS = 72, 6


def page_html(
    heading: str,
    sentences: Sequence[str],
    marks: Sequence[str],
    record: GenerationRecord,
    samples: Mapping[str, tuple[Sequence[Pixels], Sequence[Pixels]]],
    log: NearCopyLog,
    card: Card,
) -> str:
    """The page as HTML.

    Args:
        heading: Title of the page.
        sentences: What was drawn and how.
        marks: Warnings that every later number carries, and alarms; shown first, in red.
        record: The stage's record.
        samples: Class name -> real tiles, generated tiles.
        log: Results of the near-copy gate.
        card: The synthetic set's card.
    """
    return render_page(
        __package__,
        "page.html.j2",
        title=heading,
        marks=marks,
        sentences=sentences,
        arms=[[row.arm, row.name, row.label, row.train_tiles, row.added] for row in record.arms],
        classes=[_fidelity_cells(row) for row in record.classes],
        samples={
            name: [(label, _picture(tiles)) for label, tiles in (("real", real), ("generated", generated)) if tiles]
            for name, (real, generated) in samples.items()
        },
        pairs={"Dropped": _pairs(log.dropped), "Kept, and nearest to a training tile": _pairs(log.closest)},
        card=card_section(card, "synthetic-card.json"),
    )


def _fidelity_cells(row: ClassFidelityRow) -> list[Any]:
    shares = (_share(row.recognised), row.held_out, _share(row.held_out_recognised), _share(row.spread))
    return [row.name, row.generated, *shares]


def _share(value: float | None) -> Cell:
    return Cell(DASH if value is None else f"{value:.0%}")


def _pairs(pairs: Sequence[ImagePair]) -> list[tuple[str, str]]:
    """Caption and picture of each pair."""
    return [
        (
            f"ratio {pair.feature_ratio:.2f} · {pair.image_distance:.2f} apart",
            _picture([pair.generated, pair.real]),
        )
        for pair in pairs
    ]


def _picture(tiles: Sequence[Pixels]) -> str:
    return data_uri(image_grid([resize(tile, _TILE_PX) for tile in tiles], columns=_COLUMNS), "JPEG")
