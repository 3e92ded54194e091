"""A card, from nested values: its sections as lists of names and values, and the JSON itself to take away."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from components.core.html.number_format import integer
from components.core.html.render import render_part

Card = Mapping[str, Mapping[str, Any]]

_DIGEST_CHARACTERS = 16


def card_section(card: Card, file: str) -> Markup:
    """The card as part of a page, and a link that saves it as `file`.

    Args:
        card: Section -> name -> text, number, list of texts, or None = not stated. Underscores are shown as spaces.
        file: Name of the JSON file.
    """
    data = base64.b64encode(json.dumps(card, sort_keys=True, allow_nan=False).encode()).decode()
    sections = {
        _words(section): {_words(name): _text(name, value) for name, value in values.items()}
        for section, values in card.items()
    }
    return render_part(__package__, "card.html.j2", sections=sections, file=file, data=data)


def _words(name: str) -> str:
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def _text(name: str, value: Any) -> str | Markup:
    if value is None or value == "" or value == []:
        return Markup('<span class="soft">not stated</span>')
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return integer(value) if isinstance(value, int) and "seed" not in name else f"{value:.5g}"
    if isinstance(value, list | tuple):
        return Markup("<br>").join(_text(name, item) for item in value)
    if name.endswith("sha256"):
        return Markup('<code title="{}">{}…</code>').format(value, str(value)[:_DIGEST_CHARACTERS])
    return str(value)
