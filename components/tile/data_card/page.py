"""The data card as a self-contained page: tables, colour swatches, and the card's JSON to download."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from components.core.html.render import render_page
from components.core.html.table import DASH, Cell
from components.core.stain.macenko import LIGHT

_CHANNELS = (("red", "#c8443a"), ("green", "#3f8f55"), ("blue", "#3d6fb6"))
_MAX_SIZES = 8  # of a site; whole slides are all different
_MAX_MAGNIFICATIONS = 3  # of a site; more are given as a range


def card_page(card: Mapping[str, Any]) -> str:
    """The whole page of a data card."""
    sites = card["sites"]
    highest = max((max(site["stain"]["mean_od"]) for site in sites if site["stain"]["mean_od"]), default=1.0)
    return render_page(
        __package__,
        "page.html.j2",
        title="Data card",
        card=card,
        json_base64=base64.b64encode(json.dumps(card, sort_keys=True, allow_nan=False).encode()).decode(),
        site_rows=[_site_cells(site) for site in sites],
        class_rows=[_class_cells(site["site"], entry) for site in sites for entry in site["classes"]],
        size_rows=[cells for site in sites for cells in _size_cells(site["site"], site["image_sizes"])],
        stains=[_stain_panel(site["site"], site["stain"], highest) for site in sites],
        difference_rows=[_difference_cells(pair) for pair in card["stain_differences"]],
        fingerprint_rows=_fingerprint_cells(card),
    )


def _site_cells(site: Mapping[str, Any]) -> list[Any]:
    licence = site["licence"] or Cell("not stated", is_number=False, css_class="bad")
    counts = [site[name] for name in ("images", "tiles", "patients", "cases")]
    return [site["site"], *counts, _tiles_per_patient(site["tiles_per_patient"]), _magnification(site), licence]


def _tiles_per_patient(spread: Mapping[str, float] | None) -> Cell:
    if spread is None:
        return Cell(DASH)
    if spread["least"] == spread["most"]:
        return Cell(f"{spread['least']:,}")
    return Cell(f"{spread['least']:,} to {spread['most']:,}", interval=f"median {spread['median']:g}")


def _magnification(site: Mapping[str, Any]) -> Cell:
    known = [f"{value:.4g}" for value in site["mpp"]]
    listed = known if len(known) <= _MAX_MAGNIFICATIONS else [f"{known[0]} to {known[-1]}"]
    unknown = [Markup('<span class="bad">unknown</span>')] if site["mpp_unknown_tiles"] else []
    return Cell(Markup(", ").join([*listed, *unknown]))


def _class_cells(site: str, entry: Mapping[str, Any]) -> list[Any]:
    label = DASH if entry["label"] is None else str(entry["label"])
    counts = [entry[name] for name in ("patients", "cases", "images", "tiles")]
    return [site, label, entry["diagnosis"] or DASH, *counts]


def _size_cells(site: str, sizes: Sequence[Mapping[str, int]]) -> list[list[Any]]:
    """The most frequent sizes of a site's images, and the others together."""
    listed, others = sizes[:_MAX_SIZES], sizes[_MAX_SIZES:]
    rows = [[site, Cell(f"{size['width']:,} × {size['height']:,}"), size["images"]] for size in listed]
    if others:
        rows.append([site, Cell(f"{len(others):,} other sizes"), sum(size["images"] for size in others)])
    return rows


def _stain_panel(site: str, stain: Mapping[str, Any], highest: float) -> dict[str, Any]:
    """A site's swatches, and its channels as bars relative to the highest density of all sites."""
    panel = {"site": site, "tiles": stain["tiles"], "tissue_percent": 100 * stain["tissue_share"]}
    if stain["mean_od"] is None:
        return {**panel, "swatches": [], "channels": []}
    swatches = [{"colour": _colour_of_densities(stain["mean_od"]), "lines": ["tissue, mean"]}]
    for name, strength in zip(("haematoxylin", "eosin"), stain["strengths"] or (), strict=False):
        vector = stain[name]
        numbers = " ".join(f"{density:.2f}" for density in vector)
        colour = _colour_of_densities([max(0.0, strength * density) for density in vector])
        swatches.append({"colour": colour, "lines": [name, numbers, f"strength {strength:.2f}"]})
    spreads = stain["od_spread"] or [None] * len(_CHANNELS)
    channels = [
        {
            "name": name,
            "colour": colour,
            "percent": 100 * density / highest,
            "text": f"{density:.2f}" if spread is None else f"{density:.2f} ± {spread:.2f}",
        }
        for (name, colour), density, spread in zip(_CHANNELS, stain["mean_od"], spreads, strict=True)
    ]
    return {**panel, "swatches": swatches, "channels": channels}


def _colour_of_densities(densities: Sequence[float]) -> str:
    """The colour of LIGHT behind tissue of such optical densities."""
    return "#" + "".join(f"{min(255, round(LIGHT * math.exp(-density))):02x}" for density in densities)


def _difference_cells(pair: Mapping[str, Any]) -> list[Any]:
    angles = [pair[name] for name in ("haematoxylin_degrees", "eosin_degrees")]
    distance = pair["mean_od_distance"]
    return [
        " and ".join(pair["sites"]),
        *(Cell(DASH if angle is None else f"{angle:.1f}°") for angle in angles),
        Cell(DASH if distance is None else f"{distance:.2f}"),
    ]


def _fingerprint_cells(card: Mapping[str, Any]) -> list[list[Any]]:
    digests = {
        "tile set (file)": card["sha256"]["archive"],
        "manifest (file)": card["sha256"]["manifest"],
        "all tiles": card["sha256"]["content"],
        **{f"tiles of {site['site']}": site["sha256"] for site in card["sites"]},
    }
    return [[name, Markup("<code>{}</code>").format(digest)] for name, digest in digests.items()]
