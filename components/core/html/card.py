"""A card, from nested values: its sections as tables, and the JSON itself to take away."""

import base64
import html
import json
from collections.abc import Mapping
from typing import Any

Card = Mapping[str, Mapping[str, Any]]

_DIGEST_SHOWN = 16


def card_section(card: Card, file: str) -> str:
    """The card as part of a page, and a link that saves it as `file`.

    Args:
        card: Section -> name -> text, number, list of texts, or None = not stated. Underscores are shown as spaces.
        file: Name of the JSON file.
    """
    data = base64.b64encode(json.dumps(card, sort_keys=True, allow_nan=False).encode()).decode()
    link = f'<a download="{html.escape(file)}" href="data:application/json;base64,{data}">The same as JSON</a>'
    sections = "".join(f"<h3>{_words(name)}</h3>{_table(values)}" for name, values in card.items())
    return f"<h2>Card</h2><p class='small soft'>{link}</p>{sections}"


def _table(values: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td class=soft>{_words(name)}</td><td>{_cell(name, one)}</td></tr>" for name, one in values.items()
    )
    return f'<table class="card">{rows}</table>'


def _words(name: str) -> str:
    words = html.escape(name.replace("_", " "))
    return words[:1].upper() + words[1:]


def _cell(name: str, value: Any) -> str:
    if value is None or value == "" or value == []:
        return "<span class=soft>not stated</span>"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) and "seed" not in name else f"{value:.5g}"
    if isinstance(value, list | tuple):
        return "<br>".join(_cell(name, one) for one in value)
    if name.endswith("sha256"):
        return f"<code title={html.escape(str(value))}>{html.escape(str(value)[:_DIGEST_SHOWN])}…</code>"
    return html.escape(str(value))
