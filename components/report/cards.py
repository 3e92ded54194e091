"""The cards of what went in and of what was made: data, generators, synthetic tiles."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.core.data.archive import ImageArchive
from components.core.html.card import card_section
from components.core.io.atomic_files import read_json

CARD = "card.json"


def cards_section(
    data: dict[str, str], generators: Sequence[str], synthetic: dict[str, ImageArchive]
) -> list[dict[str, Any]]:
    """Cards in the order in which they are shown: `title`, and `page` (a whole document) or `card` (finished HTML).

    Args:
        data: Title -> HTML page of a data card; '' where there is none.
        generators: Generator folders.
        synthetic: Scheme -> synthetic archive.
    """
    cards: list[dict[str, Any]] = [
        {"title": title, "page": Path(page).read_text(encoding="utf-8"), "card": ""}
        for title, page in data.items()
        if page
    ]
    for folder in generators:
        if (Path(folder) / CARD).exists():
            card = read_json(Path(folder) / CARD)
            made = card_section(card, "generator-card.json")
            cards.append({"title": f"Generator card: {_where(card)}", "page": "", "card": made})
    for scheme, archive in sorted(synthetic.items()):
        if card := archive.attachment(CARD):
            made = card_section(card, "synthetic-card.json")
            cards.append({"title": f"Card of the synthetic tiles: {scheme} classes", "page": "", "card": made})
    return cards


def _where(card: dict[str, Any]) -> str:
    seen = card.get("seen", {})
    return f"{seen.get('label_scheme', 'unknown')} classes, fold {seen.get('fold', 'unknown')}"
