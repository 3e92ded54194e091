"""Options of classifier_cv: the group `classifier`."""

from dataclasses import dataclass

from components.core.options.fields import option

GROUP = "classifier"
SHARED = (
    "weights_dir",
    "device",
    "checkpoint_uri",
    "checkpoint_minutes",
    "published",
    "allow_leakage",
    "trust_origin",
)


@dataclass(frozen=True)
class ClassifierOptions:
    """The group `classifier`."""

    backbone: str = option(
        "efficientnet_lite0",
        "Network: efficientnet_lite0 or a torchvision classification model, for example resnet101.",
    )
    pretrained: bool = option(True, "Start from ImageNet weights.")
    input_px: int = option(224, "Side that tiles are resized to for the network, pixels, a multiple of 32.", low=32)
    epochs: int = option(500, "Largest number of epochs.", low=1)
    patience: int = option(50, "Epochs without a lower validation loss after which a training stops.", low=1)
    batch: int = option(64, "Largest number of tiles per step; batch statistics need 2.", low=2)
    learning_rate: float = option(0.001, "Adam's learning rate.", low=0, above=True)
    weight_decay: float = option(1e-6, "Adam's weight decay.", low=0)
    stain_method: str = option(
        "macenko",
        "Stain normalisation of the arm stain-norm; stain-aug always perturbs along Macenko's vectors.",
        choices=("macenko", "reinhard"),
    )
