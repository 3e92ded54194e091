"""How many images of each class are drawn for each arm, and their latent seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.core.errors import ConfigError
from components.generate.arm_counts import arms_of_scheme, images_to_add, largest_counts
from components.generate.gan_params import GanParams, read_gan_params


@dataclass(frozen=True)
class SamplingPlan:
    """Images and latent seeds of every class.

    Attributes:
        counts: Arm -> class index -> number of images; an arm's images are the first ones of each class.
        first_seeds: Class index -> latent seed of its first image; the others follow one by one.
    """

    counts: dict[str, dict[int, int]]
    first_seeds: dict[int, int]

    @property
    def images_per_class(self) -> dict[int, int]:
        """Class index -> number of images that serve every arm."""
        return largest_counts(self.counts)


def make_sampling_plan(
    arms: Sequence[str],
    scheme: str,
    tiles: Mapping[int, int],
    classes: Sequence[dict[str, Any]],
    gan_params: Mapping[str, str],
    seed: int,
) -> SamplingPlan:
    """The sampling plan of the arms that a generator of this scheme fills.

    Args:
        arms: Arms of the study.
        scheme: The generator's label scheme.
        tiles: Class index -> number of training tiles, from which an arm's counts follow.
        classes: `index`, `name`, `label` of each class.
        gan_params: Arm -> Thy-GAN's generation parameters, which replace the computed counts and first seeds.
        seed: Seed from which the classes' first latent seeds follow.

    Raises:
        ConfigError: An unknown arm, or parameters that do not fit the generator or each other.
    """
    filled = arms_of_scheme(arms, scheme)
    with_params = arms_of_scheme(list(gan_params), scheme)
    params = {arm: read_gan_params(gan_params[arm], arm) for arm in filled if arm in with_params}
    for arm, of_arm in params.items():
        _check_labels(arm, of_arm, classes)
    first_seeds = {}
    for index in (entry["index"] for entry in classes):
        starts = {of_arm.first_seeds[index] for of_arm in params.values() if of_arm.counts.get(index)}
        if len(starts) > 1:
            raise ConfigError(
                f"The generation parameters begin class {index} at the seeds {' and '.join(map(str, sorted(starts)))}: "
                "arms share their images, so begin a class at the same seed in all files."
            )
        first_seeds[index] = next(iter(starts), first_seed(seed, index))
    counts = {arm: params[arm].counts if arm in params else images_to_add(arm, tiles) for arm in filled}
    return SamplingPlan(counts, first_seeds)


def first_seed(seed: int, index: int) -> int:
    """The first latent seed of a class, a function of (seed, class index)."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def latent_seed(first: int, image: int) -> int:
    """The latent seed of a class's n-th candidate.

    Counting on from the first one makes the seeds of a class distinct; 32-bit seeds drawn at random need not be.
    """
    return (first + image) % 2**32


def _check_labels(arm: str, params: GanParams, classes: Sequence[dict[str, Any]]) -> None:
    labels = {entry["index"]: entry["label"] for entry in classes}
    for index, label in params.labels.items():
        if labels.get(index) != label:
            actual = (
                f"has label {labels[index]}" if index in labels else f"does not exist, the classes are {sorted(labels)}"
            )
            raise ConfigError(
                f"The generation parameters of {arm} give class {index} the label {label}; in the generator it "
                f"{actual}: write them for this generator's classes."
            )
