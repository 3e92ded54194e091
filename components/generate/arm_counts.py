"""How many images each arm adds to each class, computed from the training counts."""

from collections.abc import Mapping, Sequence

import numpy as np

from components.core.errors import ConfigError
from components.core.protocol.study_plan import ARM_SPECS, ARMS, CONTROL


def arms_of(arms: Sequence[str], scheme: str) -> list[str]:
    """The arms that a generator of this scheme fills, in their order; controls and arms without a generator are not.

    Raises:
        ConfigError: An arm that there is not.
    """
    for arm in arms:
        if arm.removesuffix(CONTROL) not in ARMS:
            raise ConfigError(f"There is no arm {arm!r}; the arms are {', '.join(ARMS)} and controls X{CONTROL}.")
    return [arm for arm in arms if ARMS.get(arm) == scheme]


def added(arm: str, tiles: Mapping[int, int]) -> dict[int, int]:
    """Images that an arm adds, class index -> count; classes that get none are left out.

    Args:
        arm: An arm with a generator.
        tiles: Training tiles of each class index.
    """
    spec, largest = ARM_SPECS[arm], max(tiles.values())
    counts = {index: spec.count_added(n, largest) for index, n in sorted(tiles.items())}
    return {index: count for index, count in counts.items() if count}


def pool(counts: Mapping[str, Mapping[int, int]]) -> dict[int, int]:
    """Images of each class that serve every arm: the largest count of any."""
    classes = sorted({index for of_arm in counts.values() for index in of_arm})
    return {index: max(of_arm.get(index, 0) for of_arm in counts.values()) for index in classes}


def first_seed(seed: int, index: int) -> int:
    """The first latent seed of a class, drawn from (seed, class)."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def latent_seed(first: int, image: int) -> int:
    """The latent seed of a class's n-th candidate.

    Counting on from one start makes the seeds of a class distinct, which drawn ones of 32 bits need not be.
    """
    return (first + image) % 2**32
