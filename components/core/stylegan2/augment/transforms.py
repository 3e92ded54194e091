"""The transforms, their strengths, and the presets (ADA, appendix B)."""

import math
from collections.abc import Mapping

from components.core.errors import ConfigError

GEOMETRY = ("xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac")
COLOUR = ("brightness", "contrast", "lumaflip", "hue", "saturation")
FILTER, NOISE, CUTOUT = "imgfilter", "noise", "cutout"
ALL = (*GEOMETRY, *COLOUR, FILTER, NOISE, CUTOUT)

_BG, _BGC = GEOMETRY, (*GEOMETRY, *COLOUR)
PRESETS: Mapping[str, tuple[str, ...]] = {
    "blit": ("xflip", "rotate90", "xint"),
    "geom": ("scale", "rotate", "aniso", "xfrac"),
    "color": COLOUR,
    "filter": (FILTER,),
    "noise": (NOISE,),
    "cutout": (CUTOUT,),
    "bg": _BG,
    "bgc": _BGC,
    "bgcf": (*_BGC, FILTER),
    "bgcfn": (*_BGC, FILTER, NOISE),
    "bgcfnc": (*_BGC, FILTER, NOISE, CUTOUT),
    "stain": (*_BG, "brightness", "contrast", "saturation"),
}

STRENGTHS: Mapping[str, float] = {
    "xint": 0.125,  # range of the shift, share of the image's size
    "scale": 0.2,  # deviation of log2 of the factor; so for aniso, contrast, saturation, imgfilter
    "rotate": 1.0,  # range, in half turns; so for hue
    "aniso": 0.2,
    "xfrac": 0.125,  # deviation of the shift, share of the image's size
    "brightness": 0.2,  # deviation, in units where images range over [-1, 1]
    "contrast": 0.5,
    "hue": 1.0,
    "saturation": 1.0,
    "imgfilter": 1.0,
    "noise": 0.1,  # deviation of the noise's deviation
    "cutout": 0.5,  # the square's side, share of the image's size
}


def resolve_multipliers(preset: str, changes: Mapping[str, float]) -> dict[str, float]:
    """Multiplier of p of every transform that is on, by name; `preset` may name a single transform.

    Raises:
        ConfigError: An unknown name, or a multiplier that is negative or not finite.
    """
    if preset not in PRESETS and preset not in ALL:
        raise ConfigError(
            f"The augmentation preset {preset!r} is not one of {', '.join(PRESETS)}; to train without "
            "augmentation, build no pipe."
        )
    multipliers = dict.fromkeys(PRESETS.get(preset, (preset,)), 1.0) | _check_changes(changes, ALL, "multiplier")
    return {name: multipliers[name] for name in ALL if multipliers.get(name)}


def resolve_strengths(changes: Mapping[str, float]) -> dict[str, float]:
    """Strength of every transform, by name.

    Raises:
        ConfigError: An unknown name, or a strength that is negative or not finite.
    """
    return dict(STRENGTHS) | _check_changes(changes, tuple(STRENGTHS), "strength")


def _check_changes(changes: Mapping[str, float], known: tuple[str, ...], what: str) -> dict[str, float]:
    for name, value in changes.items():
        if name not in known:
            raise ConfigError(f"No augmentation {name!r} has a {what}: give one of {', '.join(known)}.")
        if not (math.isfinite(value) and value >= 0):
            raise ConfigError(f"The {what} of augmentation {name} is {value}: give a number of at least 0.")
    return dict(changes)
