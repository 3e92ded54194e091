"""What is to be drawn: how many images of each class for each arm, and from which latent seed on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.core.errors import ConfigError
from components.generate.arm_counts import added, arms_of, first_seed, pool
from components.generate.gan_params import GanParams, read_gan_params


@dataclass(frozen=True)
class SamplingPlan:
    """What is to be drawn.

    Attributes:
        counts: Arm -> class index -> images; an arm's images are the first ones of each class.
        firsts: The latent seed of each class's first image; the others follow one by one.
    """

    counts: dict[str, dict[int, int]]
    firsts: dict[int, int]

    @property
    def wanted(self) -> dict[int, int]:
        """Images of each class that serve every arm."""
        return pool(self.counts)


def make_sampling_plan(
    arms: Sequence[str],
    scheme: str,
    tiles: Mapping[int, int],
    classes: Sequence[dict[str, Any]],
    gan_params: Mapping[str, str],
    seed: int,
) -> SamplingPlan:
    """The orders of the arms that a generator of this scheme fills.

    Args:
        arms: Arms of the study.
        scheme: The generator's.
        tiles: Training tiles of each class index, from which an arm's counts follow.
        classes: `index`, `name`, `label` of each class.
        gan_params: Arm -> Thy-GAN's generation parameters, which are taken in place of computed counts.
        seed: From which the classes' first latent seeds follow.

    Raises:
        ConfigError: An arm that there is not, or parameters that do not fit the generator or each other.
    """
    own, given = arms_of(arms, scheme), arms_of(list(gan_params), scheme)
    stated = {arm: read_gan_params(gan_params[arm], arm) for arm in own if arm in given}
    for arm, one in stated.items():
        _check(arm, one, classes)
    firsts = {one["index"]: first_seed(seed, one["index"]) for one in classes}
    for index in firsts:
        starts = {one.firsts[index] for one in stated.values() if one.counts.get(index)}
        if len(starts) > 1:
            raise ConfigError(
                f"The generation parameters begin class {index} at the seeds {' and '.join(map(str, sorted(starts)))}: "
                "arms share their images, so let a class begin at one seed in all files."
            )
        firsts[index] = next(iter(starts), firsts[index])
    return SamplingPlan({arm: stated[arm].counts if arm in stated else added(arm, tiles) for arm in own}, firsts)


def _check(arm: str, stated: GanParams, classes: Sequence[dict[str, Any]]) -> None:
    labels = {one["index"]: one["label"] for one in classes}
    for index, label in stated.labels.items():
        if labels.get(index) != label:
            has = (
                f"has label {labels[index]}" if index in labels else f"does not exist, the classes are {sorted(labels)}"
            )
            raise ConfigError(
                f"The generation parameters of {arm} give class {index} the label {label}; in the generator it {has}: "
                "write them for this generator's classes."
            )
