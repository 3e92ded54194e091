"""What is stated per site: um/px, what to do with small images, whether its patients are known."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from components.core.errors import ConfigError, DataError

REFUSE = "refuse"
SMALL = ("resize", "pad", "skip", REFUSE)
EVERY = "*"
METADATA = "metadata"


@dataclass(frozen=True)
class Site:
    """One site's rules.

    Attributes:
        name: As in the manifest.
        source_mpp: Stated micrometres per pixel of its images; None = unknown, or each slide's own.
        mpp: The same after resampling to the study's.
        small: What to do with images smaller than a tile, one of SMALL.
        tile_level: True where the patients need not be known.
        metadata: True where each slide says its own um/px, and fields are refused.
    """

    name: str
    source_mpp: float | None
    mpp: float | None
    small: str
    tile_level: bool
    metadata: bool = False


def site_rules(
    names: Iterable[str],
    mpp: Mapping[str, str],
    study_mpp: float,
    small: Mapping[str, str],
    tile_level: Sequence[str],
    slides: Collection[str] = (),
) -> dict[str, Site]:
    """Name -> rules of every site, in order.

    Args:
        names: Site of each image.
        mpp: Stated um/px, "unknown" or "metadata" by site; may name sites of the study's other tile set, or "*" for
            every site that is not named.
        study_mpp: What known ones are resampled to; 0 = left as they are.
        small: Policies by site, with the same freedom.
        tile_level: Sites that may lack patients.
        slides: Sites that hold whole slides only: these need no statement.

    Raises:
        ConfigError: A value that cannot be meant; a tile-level site that is not there; a site without um/px.
        DataError: Sites of different um/px and no `study_mpp` to resample them to.
    """
    names = list(dict.fromkeys(names))
    stated = {site: _stated(site, text) for site, text in mpp.items()}
    if not isinstance(stated.get(EVERY), float):
        stated = {**dict.fromkeys(slides, METADATA), **stated}
    if study_mpp and not 0.01 <= study_mpp <= 100:
        raise ConfigError(f"--study-mpp {study_mpp:g} is no um/px: give for example 0.5, or 0 to keep the source's.")
    for site, policy in small.items():
        if policy not in SMALL:
            raise ConfigError(f"--small {site}={policy} is not known: say one of {', '.join(SMALL)}.")
    for site in tile_level:
        if site not in names:
            raise ConfigError(f"--tile-level names the site {site!r}, which is not there: {_there(names)}.")
    rules = {}
    for name in names:
        if name not in stated and EVERY not in stated:
            others = f" (stated: {', '.join(mpp)})" if mpp else ""
            raise ConfigError(
                f"Site {name!r} has no um/px{others}: give it with --mpp {name}=0.5, {name}=metadata where each "
                f"image is a slide that says its own, or {name}=unknown to go on with a mark on its numbers."
            )
        said = stated.get(name, stated.get(EVERY))
        own = said if isinstance(said, float) else None
        aimed = study_mpp or own if own or said == METADATA else None
        policy = small.get(name, small.get(EVERY, REFUSE))
        rules[name] = Site(name, own, aimed, policy, name in tile_level, said == METADATA)
    known = {site.mpp: site.name for site in rules.values() if site.mpp}
    if len(known) > 1:
        shown = ", ".join(f"{name} {value:g}" for value, name in known.items())
        raise DataError(
            f"Magnifications are mixed ({shown} um/px): resample them to one with --study-mpp, or tile them apart."
        )
    return rules


def um_per_px(value: float | str | None) -> float:
    """The value as micrometres per pixel; NaN where no microscope has such."""
    try:
        number = float(value or math.nan)
    except ValueError:
        return math.nan
    return number if 0.01 <= number <= 100 else math.nan


def _stated(site: str, text: str) -> float | str | None:
    word = str(text).strip().lower()
    if word in ("unknown", METADATA):
        return METADATA if word == METADATA else None
    value = um_per_px(word)
    if math.isnan(value):
        raise ConfigError(
            f"--mpp {site}={text} is no um/px: give a number such as 0.5 (20x) or 0.25 (40x), `{METADATA}` (what each "
            "slide says), or `unknown`."
        )
    return value


def _there(names: Sequence[str]) -> str:
    return f"the sites are {', '.join(names)}" if names else "there is no site"
