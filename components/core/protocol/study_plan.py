"""The study plan: what is compared with what, stated before anything is trained; and the arms it may name."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from components.core.errors import ConfigError
from components.core.io.atomic_files import digest, read_json, write_json
from components.core.io.dataclass_json import from_json

BINARY, DIAGNOSIS = "binary", "diagnosis"
CONTROL = "-real"

# arm -> the label scheme of the generator that fills it; '' = no generator
ARMS = {
    "none": "",
    "stain-aug": "",
    "stain-norm": "",
    "bi100": BINARY,
    "bi200": BINARY,
    "mc": DIAGNOSIS,
    "mc100": DIAGNOSIS,
}


def is_control(arm: str) -> bool:
    """True for X-real: the same counts as X, re-drawn from real training tiles."""
    return arm.endswith(CONTROL)


def generator_arm(arm: str) -> str:
    """The generator arm behind an arm or its control; '' for an arm without a generator."""
    name = arm.removesuffix(CONTROL)
    return name if ARMS[name] else ""


def scheme_of(arm: str) -> str:
    """The label scheme of the generator that an arm or its control needs; '' = any, it needs none."""
    return ARMS[arm.removesuffix(CONTROL)]


def check_arms(arms: list[str]) -> list[str]:
    """The arms, each known and named once, `none` among them and at least one generator's.

    Raises:
        ConfigError: With the list of arms there are.
    """
    known = [*ARMS, *(arm + CONTROL for arm, scheme in ARMS.items() if scheme)]
    for arm in arms:
        if arm not in known:
            raise ConfigError(f"There is no arm {arm!r}; the arms are {', '.join(known)}.")
        if arms.count(arm) > 1:
            raise ConfigError(f"Arm {arm!r} is named twice.")
    if "none" not in arms:
        raise ConfigError("The arm `none` is the baseline of every comparison: add it to the arms.")
    if not any(generator_arm(arm) for arm in arms):
        raise ConfigError("No arm uses a generator, so there is nothing to ask: add one, for example bi100.")
    return arms


@dataclass(frozen=True)
class StudyPlan:
    """What was decided before the first training.

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
        demonstration: True for demo data: the report says that it is no evidence.
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
        """Reads a plan; refuses one that was changed after it was made."""
        value = read_json(path)
        noted = value.pop("digest", "") if isinstance(value, dict) else ""
        plan = from_json(StudyPlan, value, str(path))
        if plan.digest != noted:
            raise ConfigError(f"{path} was changed after it was made: its digest does not fit; split again.")
        return plan

    def refuse_other(self, arms: list[str]) -> None:
        """Refuses arms that the plan does not name."""
        extra = [arm for arm in arms if arm not in self.arms]
        if extra:
            raise ConfigError(f"The study plan does not name {', '.join(extra)}: it was made for {self.arms}.")
