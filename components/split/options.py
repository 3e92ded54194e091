"""Options of split: the group `split`."""

from dataclasses import dataclass

from components.core.options.fields import option
from components.core.protocol.study_plan import ARMS, CONTROL

GROUP = "split"
SHARED = ("tile_level",)


@dataclass(frozen=True)
class SplitOptions:
    """The group `split`."""

    arms: tuple[str, ...] = option(
        ("none", "stain-aug", "bi100", "bi100-real"),
        f"Training sets to compare; none is the baseline. Known: {', '.join(ARMS)}, and the controls "
        f"{', '.join(arm + CONTROL for arm, scheme in ARMS.items() if scheme)}.",
    )
    folds: int = option(5, "Number of cross-validation folds; imported folds keep their own number.", low=2)
    classifier_seeds: int = option(3, "Number of classifiers per arm and fold.", low=1)
    val_fraction: float = option(
        0.2,
        "Share of a fold's patients outside its test part that becomes its inner validation.",
        low=0,
        high=0.5,
        above=True,
    )
    import_splits: str = option(
        "",
        "Split file, or folder with *split*.json: Thy-GAN's lists of patients (folds) or of files (the fold all); "
        "empty = every fold is drawn. Folds that the lists leave open are drawn, too.",
        reads_outside=True,
    )
    preserve_sites: bool = option(
        False,
        "Test every site of the study in one fold only, which trains and validates on none of its patients. Each class "
        "must be at as many sites as there are folds. Imported folds must fulfil it, too.",
    )
    vote: str = option("majority", "Rule from a case's tiles to its class.", choices=("majority", "probability"))
    threshold: str = option(
        "0.5",
        "Decision threshold on a tile's probability: 0.5, or youden on each fold's own validation tiles.",
        choices=("0.5", "youden"),
    )
    relevant_difference: float = option(
        0.1, "Smallest difference of AUROC that would matter.", low=0, high=1, above=True
    )
    demonstration: bool = option(False, "Mark every page as demonstration data, which is not evidence.")
