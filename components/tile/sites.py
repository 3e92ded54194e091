"""What is stated per site: um/px, what to do with small images, whether its patients are known."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from components.core.errors import ConfigError, DataError

REFUSE = "refuse"
SMALL = ("resize", "pad", "skip", REFUSE)
EVERY = "*"


@dataclass(frozen=True)
class Site:
    """One site's rules.

    Attributes:
        name: As in the manifest.
        source_mpp: Micrometres per pixel of its images; None = unknown.
        mpp: The same after resampling to the study's.
        small: What to do with images smaller than a tile, one of SMALL.
        tile_level: True where the patients need not be known.
    """

    name: str
    source_mpp: float | None
    mpp: float | None
    small: str
    tile_level: bool

    @property
    def scale(self) -> float:
        """Factor by which its images are resampled."""
        return self.source_mpp / self.mpp if self.source_mpp and self.mpp else 1.0


def site_rules(
    names: Iterable[str],
    mpp: Mapping[str, str],
    study_mpp: float,
    small: Mapping[str, str],
    tile_level: Sequence[str],
) -> dict[str, Site]:
    """Name -> rules of every site, in order.

    `mpp` and `small` may name sites of the study's other tile set, or "*" for every site that they do not name.

    Raises:
        ConfigError: A value that cannot be meant; a tile-level site that is not there; a site without um/px.
        DataError: Sites of different um/px and no `study_mpp` to resample them to.
    """
    names = list(dict.fromkeys(names))
    stated = {site: _um_per_px(site, text) for site, text in mpp.items()}
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
            others = f" (stated: {', '.join(stated)})" if stated else ""
            raise ConfigError(
                f"Site {name!r} has no um/px{others}: give it with --mpp {name}=0.5, or --mpp {name}=unknown to go on "
                "with a mark on its numbers."
            )
        own = stated.get(name, stated.get(EVERY))
        policy = small.get(name, small.get(EVERY, REFUSE))
        rules[name] = Site(name, own, study_mpp or own if own else None, policy, name in tile_level)
    known = {site.mpp: site.name for site in rules.values() if site.mpp}
    if len(known) > 1:
        shown = ", ".join(f"{name} {value:g}" for value, name in known.items())
        raise DataError(
            f"Magnifications are mixed ({shown} um/px): resample them to one with --study-mpp, or tile them apart."
        )
    return rules


def _um_per_px(site: str, text: str) -> float | None:
    if str(text).strip().lower() == "unknown":
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.01 <= value <= 100:
        raise ConfigError(
            f"--mpp {site}={text} is no um/px: give a number such as 0.5 (20x) or 0.25 (40x), or `unknown`."
        )
    return value


def _there(names: Sequence[str]) -> str:
    return f"the sites are {', '.join(names)}" if names else "there is no site"
