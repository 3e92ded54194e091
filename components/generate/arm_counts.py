"""Number of images that each arm adds to each class, from the training counts."""

from collections.abc import Mapping, Sequence

from components.core.errors import ConfigError
from components.core.protocol.study_plan import ARM_SPECS, ARMS, CONTROL


def arms_of_scheme(arms: Sequence[str], scheme: str) -> list[str]:
    """The arms that a generator of this scheme fills, in their order; no controls, no arms without a generator.

    Raises:
        ConfigError: An unknown arm.
    """
    for arm in arms:
        if arm.removesuffix(CONTROL) not in ARMS:
            raise ConfigError(f"There is no arm {arm!r}; the arms are {', '.join(ARMS)} and controls X{CONTROL}.")
    return [arm for arm in arms if ARMS.get(arm) == scheme]


def images_to_add(arm: str, tiles: Mapping[int, int]) -> dict[int, int]:
    """Class index -> number of images that an arm adds; classes without any are left out.

    Args:
        arm: Name of an arm with a generator.
        tiles: Class index -> number of training tiles.
    """
    spec, largest = ARM_SPECS[arm], max(tiles.values())
    counts = {index: spec.count_added(n, largest) for index, n in sorted(tiles.items())}
    return {index: count for index, count in counts.items() if count}


def largest_counts(counts: Mapping[str, Mapping[int, int]]) -> dict[int, int]:
    """Class index -> the largest count of any arm: as many images serve all arms."""
    classes = sorted({index for of_arm in counts.values() for index in of_arm})
    return {index: max(of_arm.get(index, 0) for of_arm in counts.values()) for index in classes}
