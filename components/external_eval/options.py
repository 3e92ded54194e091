"""Options of external_eval: the group `evaluation`."""

from dataclasses import dataclass

from components.core.options.fields import option

GROUP = "evaluation"
SHARED = ("device",)


@dataclass(frozen=True)
class EvaluationOptions:
    """The group `evaluation`."""

    batch: int = option(128, "Number of tiles per forward pass.", low=1)
