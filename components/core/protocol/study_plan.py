"""The study plan, which fixes every comparison before anything is trained, and the table of arms that it may name."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from components.core.errors import ConfigError
from components.core.io.atomic_files import digest, read_json, write_json
from components.core.io.dataclass_json import from_json

BINARY, DIAGNOSIS = "binary", "diagnosis"
CONTROL = "-real"


@dataclass(frozen=True)
class ArmSpec:
    """An arm: what its classifiers train on beside the real training tiles.

    Attributes:
        name: Its name in parameters, tables and records.
        description: Its name for people, on pages.
        scheme: Label scheme of the generator that fills it; '' = no generator, and no control.
        growth: Size of a class with its generated tiles, as a multiple of its own or of the largest class's tiles.
        is_balanced: Whether `growth` counts from the largest class, so that all classes end at one size.
        generated_per_tile: Generated tiles per real training tile that a cost estimate assumes, the upper bound.
        stain: What is done to stain: "normalise", "augment" or '' = nothing.
    """

    name: str
    description: str
    scheme: str = ""
    growth: int = 1
    is_balanced: bool = False
    generated_per_tile: float = 0.0
    stain: str = ""

    def count_added(self, tiles: int, largest: int) -> int:
        """Generated tiles that the arm adds to a class.

        Args:
            tiles: Training tiles of the class.
            largest: Training tiles of the largest class.
        """
        return self.growth * (largest if self.is_balanced else tiles) - tiles


_SPECS = (
    ArmSpec("none", "real tiles only: the baseline"),
    ArmSpec("stain-aug", "stain augmentation, no generator", stain="augment"),
    ArmSpec("stain-norm", "stain normalisation, no generator", stain="normalise"),
    ArmSpec("bi100", "+100 % generated tiles in each binary class", BINARY, growth=2, generated_per_tile=1.0),
    ArmSpec("bi200", "+200 % generated tiles in each binary class", BINARY, growth=3, generated_per_tile=2.0),
    ArmSpec(
        "mc",
        "rare diagnoses raised to the commonest by generated tiles",
        DIAGNOSIS,
        growth=1,
        is_balanced=True,
        generated_per_tile=2.0,
    ),
    ArmSpec(
        "mc100",
        "commonest diagnosis +100 %, the others raised to it, by generated tiles",
        DIAGNOSIS,
        growth=2,
        is_balanced=True,
        generated_per_tile=4.0,
    ),
)
ARM_SPECS = {spec.name: spec for spec in _SPECS}
ARMS = {name: spec.scheme for name, spec in ARM_SPECS.items()}  # arm -> label scheme of its generator; '' = none


def is_control(arm: str) -> bool:
    """Whether an arm is X-real: the counts of X, re-drawn from real training tiles."""
    return arm.endswith(CONTROL)


def generator_arm(arm: str) -> str:
    """The generator arm behind an arm or its control; '' for an arm without a generator."""
    name = arm.removesuffix(CONTROL)
    return name if ARMS[name] else ""


def scheme_of(arm: str) -> str:
    """The label scheme of the generator that an arm or its control needs; '' = any, it needs none."""
    return ARMS[arm.removesuffix(CONTROL)]


def check_arms(arms: list[str]) -> list[str]:
    """The arms, if each is known and listed once, `none` is among them, and at least one needs a generator.

    Raises:
        ConfigError: One of these conditions fails.
    """
    known = [*ARMS, *(arm + CONTROL for arm, scheme in ARMS.items() if scheme)]
    for arm in arms:
        if arm not in known:
            raise ConfigError(f"There is no arm {arm!r}; the arms are {', '.join(known)}.")
        if arms.count(arm) > 1:
            raise ConfigError(f"Arm {arm!r} is listed twice: list each arm once.")
    if "none" not in arms:
        raise ConfigError("The arm `none` is the baseline of every comparison: add it to the arms.")
    if not any(generator_arm(arm) for arm in arms):
        raise ConfigError("No arm uses a generator, so there is nothing to compare: add one, for example bi100.")
    return arms


@dataclass(frozen=True)
class StudyPlan:
    """The decisions made before the first training.

    Attributes:
        arms: In the order of the report; `none` is the baseline.
        seeds: Classifier seeds, the same for every arm and fold.
        vote: "majority" or "probability": how tiles make a case's class.
        threshold: "0.5", or "youden" on the fold's own validation tiles.
        endpoint: The primary endpoint, in words.
        relevant_difference: Smallest AUROC difference that would matter, 0..1.
        class_map: Diagnosis -> binary class, as the training data state it.
        external_sites: Sites that may be evaluated.
        tile_level_sites: Those of them without patients: no vote, no test, no verdict.
        demonstration: True for demo data: the report says that it is not evidence.
        marks: Sentences that every number of this study carries, for example a site whose um/px is unknown.
    """

    arms: list[str]
    seeds: list[int]
    vote: str = "majority"
    threshold: str = "0.5"
    endpoint: str = "difference to `none` in site-stratified patient AUROC on the external sites"
    relevant_difference: float = 0.10
    class_map: dict[str, int] = field(default_factory=dict)
    external_sites: list[str] = field(default_factory=list)
    tile_level_sites: list[str] = field(default_factory=list)
    demonstration: bool = False
    marks: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """sha256 of the whole plan."""
        return digest(asdict(self))

    def write(self, path: str | Path) -> None:
        """Writes the plan as JSON, digest included."""
        write_json(path, {**asdict(self), "digest": self.digest})

    @staticmethod
    def read(path: str | Path) -> "StudyPlan":
        """Reads a plan; raises ConfigError for one whose digest does not match."""
        value = read_json(path)
        digest_in_file = value.pop("digest", "") if isinstance(value, dict) else ""
        plan = from_json(StudyPlan, value, str(path))
        if plan.digest != digest_in_file:
            raise ConfigError(f"{path} was changed after it was made: its digest does not match. Split again.")
        return plan

    def refuse_other(self, arms: list[str]) -> None:
        """Raises ConfigError for arms that the plan does not list."""
        extra = [arm for arm in arms if arm not in self.arms]
        if extra:
            raise ConfigError(
                f"The study plan does not list {', '.join(extra)}, only {', '.join(self.arms)}: split again."
            )
