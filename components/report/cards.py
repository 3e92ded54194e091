"""The cards of the study's data, generators and synthetic tiles."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.core.data.archive import ImageArchive
from components.core.data.file_names import CARD
from components.core.html.card import card_section
from components.core.io.atomic_files import read_json


def cards_section(
    data: dict[str, str], generators: Sequence[str], synthetic: dict[str, ImageArchive]
) -> list[dict[str, Any]]:
    """Cards in the order of the page: `title`, and `page` (a whole document) or `card` (a part of the page).

    Args:
        data: Title -> HTML page of a data card; '' = none.
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
            text = card_section(card, "generator-card.json")
            cards.append({"title": f"Generator card: {_subject(card)}", "page": "", "card": text})
    for scheme, archive in sorted(synthetic.items()):
        if card := archive.attachment(CARD):
            text = card_section(card, "synthetic-card.json")
            cards.append({"title": f"Card of the synthetic tiles: {scheme} classes", "page": "", "card": text})
    return cards


def _subject(card: dict[str, Any]) -> str:
    seen = card.get("seen", {})
    return f"{seen.get('label_scheme', 'unknown')} classes, fold {seen.get('fold', 'unknown')}"
