"""The card as a self-contained page: tables, colour swatches, and the JSON itself to take away."""

import base64
import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from components.core.html.css import PAGE_CSS
from components.core.stain.macenko import LIGHT

# The study's pages look alike; their style is read as a file because the module beside it needs plotly
_OWN_STYLE = """
.stains { display: grid; grid-template-columns: repeat(auto-fill, minmax(310px, 1fr)); gap: 16px; margin: 14px 0 20px; }
.stain { border: 1px solid var(--line); border-radius: 6px; padding: 12px 14px 14px; }
.stain h3 { margin: 0 0 8px; }
.swatches { display: flex; gap: 8px; }
.swatches div { flex: 1; font-size: 12px; color: var(--soft); line-height: 1.35; }
.swatches i { display: block; height: 52px; border-radius: 4px; margin-bottom: 5px; border: 1px solid rgba(0,0,0,.08); }
.channel { display: grid; grid-template-columns: 46px 1fr 92px; gap: 8px; align-items: center; font-size: 12.5px;
  color: var(--soft); font-variant-numeric: tabular-nums; }
.channel i { display: block; height: 9px; border-radius: 2px; }
.channel b { font-weight: 400; background: var(--wash); border-radius: 2px; }
.stain p { margin: 10px 0 4px; font-size: 13px; }
code { font: 12px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; word-break: break-all; }
"""
_CHANNELS = (("red", "#c8443a"), ("green", "#3f8f55"), ("blue", "#3d6fb6"))
_DASH = "–"
_MOST_SIZES = 8  # of a site; whole slides are all different


def card_page(card: Mapping[str, Any]) -> str:
    """The whole page of a `data_card`."""
    body = [
        "<h1>Data card</h1>",
        f"<p>{card['tiles']:,} tiles of {card['images']:,} images, {card['patients']:,} known patients, "
        f"{card['cases']:,} cases, {len(card['sites'])} site(s). <span class=soft>{_download(card)}</span></p>",
        *(f'<span class="mark">{html.escape(mark)}</span>' for mark in card["marks"]),
    ]
    if card["sites"]:
        body += [_sites(card), _classes(card["sites"]), _sizes(card["sites"]), _stains(card), _fingerprints(card)]
    else:
        body.append("<p>The tile set is empty.</p>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Data card</title>\n'
        f"<style>{PAGE_CSS}{_OWN_STYLE}</style></head>\n<body><main>{''.join(body)}</main></body></html>\n"
    )


def _download(card: Mapping[str, Any]) -> str:
    data = base64.b64encode(json.dumps(card, sort_keys=True, allow_nan=False).encode()).decode()
    return f'<a download="data-card.json" href="data:application/json;base64,{data}">The same as JSON</a>'


def _sites(card: Mapping[str, Any]) -> str:
    heads = ("images", "tiles", "patients", "cases", "tiles per patient", "um/px")
    rows = [
        [
            html.escape(site["site"]),
            *(f"{site[name]:,}" for name in ("images", "tiles", "patients", "cases")),
            _per_patient(site["tiles_per_patient"]),
            _magnification(site),
            html.escape(site["licence"]) if site["licence"] else '<span class="bad">not stated</span>',
        ]
        for site in card["sites"]
    ]
    return f"<h2>Sites</h2>{_table(['site', *heads, 'licence'], rows, range(1, 1 + len(heads)))}"


def _per_patient(spread: Mapping[str, float] | None) -> str:
    if spread is None:
        return _DASH
    same = spread["least"] == spread["most"]
    middle = f'<br><span class="interval">median {spread["median"]:g}</span>'
    return f"{spread['least']:,}" if same else f"{spread['least']:,} to {spread['most']:,}{middle}"


def _magnification(site: Mapping[str, Any]) -> str:
    known = [f"{value:.4g}" for value in site["mpp"]]
    shown = known if len(known) <= 3 else [f"{known[0]} to {known[-1]}"]
    unknown = ['<span class="bad">unknown</span>'] if site["mpp_unknown_tiles"] else []
    return ", ".join([*shown, *unknown])


def _classes(sites: Sequence[Mapping[str, Any]]) -> str:
    heads = ("patients", "cases", "images", "tiles")
    rows = [
        [
            html.escape(site["site"]),
            _DASH if one["label"] is None else str(one["label"]),
            html.escape(one["diagnosis"]) or _DASH,
            *(f"{one[name]:,}" for name in heads),
        ]
        for site in sites
        for one in site["classes"]
    ]
    return f"<h2>Classes and diagnoses</h2>{_table(['site', 'class', 'diagnosis', *heads], rows, range(3, 7))}"


def _sizes(sites: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for site in sites:
        name, sizes = html.escape(site["site"]), site["image_sizes"]
        shown, others = sizes[:_MOST_SIZES], sizes[_MOST_SIZES:]
        rows += [[name, f"{one['width']:,} × {one['height']:,}", f"{one['images']:,}"] for one in shown]
        if others:
            rows.append([name, f"{len(others):,} other sizes", f"{sum(one['images'] for one in others):,}"])
    return f"<h2>Image sizes</h2>{_table(['site', 'pixels', 'images'], rows, range(1, 3))}" if rows else ""


def _stains(card: Mapping[str, Any]) -> str:
    highest = max((max(site["stain"]["mean_od"]) for site in card["sites"] if site["stain"]["mean_od"]), default=1.0)
    panels = "".join(_stain(site["site"], site["stain"], highest) for site in card["sites"])
    return (
        f'<h2>Stain</h2><p class="small soft">{html.escape(card["stain_method"])}.</p>'
        f'<div class="stains">{panels}</div>{_differences(card["stain_differences"])}'
    )


def _stain(site: str, stain: Mapping[str, Any], highest: float) -> str:
    title = f"<h3>{html.escape(site)}</h3>"
    if stain["mean_od"] is None:
        return f'<div class="stain">{title}<p class="soft">No tissue in {stain["tiles"]} tiles.</p></div>'
    swatches = [(_colour(stain["mean_od"]), "tissue, mean")]
    for place, name in enumerate(("haematoxylin", "eosin")):
        if stain[name] is not None:
            strength = stain["strengths"][place]
            od = [max(0.0, strength * one) for one in stain[name]]
            numbers = " ".join(f"{one:.2f}" for one in stain[name])
            swatches.append((_colour(od), f"{name}<br>{numbers}<br>strength {strength:.2f}"))
    shown = "".join(f'<div><i style="background:{colour}"></i>{text}</div>' for colour, text in swatches)
    bars = "".join(
        f'<div class="channel"><span>{name}</span>'
        f'<b><i style="width:{100 * od / highest:.1f}%;background:{colour}"></i></b>'
        f"<span>{_plus_minus(od, stain['od_spread'], place)}</span></div>"
        for place, ((name, colour), od) in enumerate(zip(_CHANNELS, stain["mean_od"], strict=True))
    )
    return (
        f'<div class="stain">{title}<div class="swatches">{shown}</div>'
        f"<p>Optical density of tissue <span class=soft>± between {stain['tiles']} tiles, "
        f"{100 * stain['tissue_share']:.0f} % of their pixels</span></p>{bars}</div>"
    )


def _plus_minus(od: float, spread: Sequence[float] | None, place: int) -> str:
    return f"{od:.2f} ± {spread[place]:.2f}" if spread else f"{od:.2f}"


def _colour(od: Sequence[float]) -> str:
    """What glass of LIGHT looks like behind such optical densities."""
    return "#" + "".join(f"{min(255, round(LIGHT * math.exp(-one))):02x}" for one in od)


def _differences(pairs: Sequence[Mapping[str, Any]]) -> str:
    if not pairs:
        return ""
    rows = [
        [
            html.escape(" and ".join(pair["sites"])),
            *(
                _DASH if pair[name] is None else f"{pair[name]:.1f}°"
                for name in ("haematoxylin_degrees", "eosin_degrees")
            ),
            _DASH if pair["mean_od_distance"] is None else f"{pair['mean_od_distance']:.2f}",
        ]
        for pair in pairs
    ]
    heads = ["sites", "haematoxylin apart", "eosin apart", "mean optical densities apart"]
    return f"<h3>How far sites differ</h3>{_table(heads, rows, range(1, 4))}"


def _fingerprints(card: Mapping[str, Any]) -> str:
    rows = [
        ["tile set (file)", card["sha256"]["archive"]],
        ["manifest (file)", card["sha256"]["manifest"]],
        ["all tiles", card["sha256"]["content"]],
        *([f"tiles of {site['site']}", site["sha256"]] for site in card["sites"]),
    ]
    shown = [[html.escape(name), f"<code>{digest}</code>"] for name, digest in rows]
    return (
        f"<h2>Fingerprints</h2>{_table(['of', 'sha256'], shown, ())}"
        '<p class="small soft">That of tiles is over their sorted sha256: the same tiles have it in any archive.</p>'
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Iterable[int]) -> str:
    """A table of finished cells; `numbers` are the columns that stand to the right."""
    right = set(numbers)

    def cells(kind: str, values: Sequence[str]) -> str:
        classes = [' class="number"' if place in right else "" for place in range(len(values))]
        return "".join(f"<{kind}{one}>{value}</{kind}>" for one, value in zip(classes, values, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{cells("th", heads)}</tr></thead><tbody>{body}</tbody></table></div>'
