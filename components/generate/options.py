"""Options of generate: the group `generation`."""

from dataclasses import dataclass

from components.core.options.fields import option

GROUP = "generation"
SHARED = ("extractor", "extractor_px", "weights_dir", "device", "allow_leakage", "trust_origin")


@dataclass(frozen=True)
class GenerationOptions:
    """The group `generation`."""

    psi: float = option(1.0, "Truncation, 0 (every image the mean of its class) to 1 (none).", low=0, high=1)
    batch: int = option(
        32,
        "Images per pass through a network; it changes no image by more than a grey level.",
        low=1,
        affects_result=False,
    )
    near_copy_gate: bool = option(True, "Drop images that are near-copies of a training tile, and draw others.")
    gan_params: dict[str, str] = option(
        {},
        "Arm -> Thy-GAN's file of generation parameters, or its text, in place of the counts that follow from the "
        "training tiles; the end of a range of seeds is left out, as its loader did.",
    )
