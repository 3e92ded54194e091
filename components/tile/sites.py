"""Rules per site: um/px, what to do with small images, whether its patients are known."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from components.core.errors import ConfigError, DataError

REFUSE = "refuse"
SMALL_POLICIES = ("resize", "pad", "skip", REFUSE)
OTHERS = "*"
METADATA = "metadata"


@dataclass(frozen=True)
class SiteRules:
    """One site's rules.

    Attributes:
        name: Name as in the manifest.
        source_mpp: Stated micrometres per pixel of its images; None = unknown, or each slide's own.
        mpp: Micrometres per pixel after resampling to the study's; None = unknown.
        small: Policy for images smaller than a tile, one of SMALL_POLICIES.
        tile_level: True where the patients need not be known.
        metadata: True where each slide states its own um/px, and fields are refused.
    """

    name: str
    source_mpp: float | None
    mpp: float | None
    small: str
    tile_level: bool
    metadata: bool = False


def rules_of_sites(
    names: Iterable[str],
    mpp: Mapping[str, str],
    study_mpp: float | None,
    small: Mapping[str, str],
    tile_level: Sequence[str],
    slides: Collection[str] = (),
) -> dict[str, SiteRules]:
    """Name -> rules of every site, in order.

    Args:
        names: Site of each image.
        mpp: Stated um/px, "unknown" or "metadata" by site; may name sites of the study's other tile set, or "*" for
            every site that is not named.
        study_mpp: Micrometres per pixel that known ones are resampled to; None = left as they are.
        small: Policies by site, with the same freedom.
        tile_level: Sites that may lack patients.
        slides: Sites that hold whole slides only: these need no statement.

    Raises:
        ConfigError: A value that is not known, a tile-level site that no image has, or a site without um/px.
        DataError: Sites of different um/px and no `study_mpp` to resample them to.
    """
    names = list(dict.fromkeys(names))
    stated = {site: _parse_mpp(site, text) for site, text in mpp.items()}
    if not isinstance(stated.get(OTHERS), float):
        stated = {**dict.fromkeys(slides, METADATA), **stated}
    for site, policy in small.items():
        if policy not in SMALL_POLICIES:
            raise ConfigError(f"--small {site}={policy} is not known: give one of {', '.join(SMALL_POLICIES)}.")
    for site in tile_level:
        if site not in names:
            sites = f"the sites are {', '.join(names)}" if names else "there is no site"
            raise ConfigError(f"--tile-level names the site {site!r}, which no image has: {sites}.")
    rules = {}
    for name in names:
        if name not in stated and OTHERS not in stated:
            others = f" (stated: {', '.join(mpp)})" if mpp else ""
            raise ConfigError(
                f"Site {name!r} has no um/px{others}: give it with --mpp {name}=0.5, {name}=metadata where each "
                f"image is a slide with um/px of its own, or {name}=unknown to continue with a mark on its numbers."
            )
        statement = stated.get(name, stated.get(OTHERS))
        source_mpp = statement if isinstance(statement, float) else None
        target = study_mpp or source_mpp if source_mpp or statement == METADATA else None
        policy = small.get(name, small.get(OTHERS, REFUSE))
        rules[name] = SiteRules(name, source_mpp, target, policy, name in tile_level, statement == METADATA)
    known = {site.mpp: site.name for site in rules.values() if site.mpp}
    if len(known) > 1:
        listed = ", ".join(f"{name} {value:g}" for value, name in known.items())
        raise DataError(
            f"Magnifications are mixed ({listed} um/px): resample them to one with --study-mpp, or tile them apart."
        )
    return rules


def parse_um_per_px(value: float | str | None) -> float:
    """The value as micrometres per pixel; NaN where no microscope has such."""
    try:
        number = float(value or math.nan)
    except ValueError:
        return math.nan
    return number if 0.01 <= number <= 100 else math.nan


def _parse_mpp(site: str, text: str) -> float | str | None:
    word = str(text).strip().lower()
    if word in ("unknown", METADATA):
        return METADATA if word == METADATA else None
    value = parse_um_per_px(word)
    if math.isnan(value):
        raise ConfigError(
            f"--mpp {site}={text} is not um/px: give a number such as 0.5 (20x) or 0.25 (40x), `{METADATA}` (each "
            "slide's own), or `unknown`."
        )
    return value
