"""Feature extractors: uint8 images in, one vector per image out, and the names that every number must carry.

Distances in the features of different extractors, or of one at different input sizes, do not compare.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from components.core.errors import ConfigError
from components.core.features.backbones import build_backbone, check_input_px
from components.core.features.custom import build_own
from components.core.features.weights import find_weights
from components.core.io.atomic_files import file_sha256
from components.core.runtime.device import pick_device

EXTRACTORS = ("efficientnet_lite0", "resnet50", "resnet101", "inception2015")
UNTRAINED = "@random"


@dataclass(frozen=True)
class Extractor:
    """A frozen network.

    Attributes:
        name: As asked for; ends in `@random` when the weights are untrained.
        weights_sha256: Of the weights' file; '' when untrained.
        trained: False for random weights: its numbers rank nothing.
        dim: Width of a feature vector.
        input_px: Side of the network's input.
        resize: How images become that size.
        device: Where it computes.
        network: uint8 [N, 3, H, W] -> float32 [N, dim], on `device`.
    """

    name: str
    weights_sha256: str
    trained: bool
    dim: int
    input_px: int
    resize: str
    device: torch.device
    network: Callable[[Tensor], Tensor]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Features [N, dim] float32 of uint8 images [N, 3, H, W]."""
        return self.network(images.to(self.device)).float()

    @property
    def title(self) -> str:
        """How a page names it."""
        untrained = "" if self.trained else " UNTRAINED: random weights, numbers rank nothing"
        return f"{self.name.removesuffix(UNTRAINED)} at {self.input_px} px{untrained}"

    def record(self) -> dict[str, str | int | bool]:
        """Scalars that go with every number made from its features."""
        return {
            "extractor": self.name,
            "extractor_sha256": self.weights_sha256,
            "extractor_trained": self.trained,
            "extractor_px": self.input_px,
            "extractor_resize": self.resize,
        }


def load_extractor(name: str, *, weights_dir: str = "", device: str = "cpu", input_px: int = 224) -> Extractor:
    """Loads a feature extractor.

    Args:
        name: "efficientnet_lite0" (1280-d), "resnet50" or "resnet101" (2048-d), "inception2015" (2048-d, the network
            of the published FID; always 299 px), one of the first three with "@random" for untrained weights, or the
            name of a network of the user's own (`own`).
        weights_dir: Folder or bucket with weights files; '' = THYGAN_WEIGHTS, packages, cache, bucket, mirror, URL.
        device: A torch device, or "auto".
        input_px: Side of the network's input, a multiple of 32; smaller is faster and another measure. A network of
            the user's own has the one that its description says.

    Raises:
        ConfigError: No such extractor or size.
        WeightsError: Its weights are missing or unfit.
    """
    network_name = name.removesuffix(UNTRAINED)
    on = pick_device(device)
    if name == "inception2015":
        return _inception2015(weights_dir, on)
    if network_name in EXTRACTORS and name != f"inception2015{UNTRAINED}":
        check_input_px(input_px)
        pretrained = name == network_name
        backbone = build_backbone(network_name, num_classes=0, pretrained=pretrained, weights_dir=weights_dir)
    elif own := build_own(name, weights_dir):
        backbone, input_px = own
    else:
        raise ConfigError(
            f"There is no feature extractor {name!r}; there are {', '.join(EXTRACTORS)}, and networks of your own, "
            f"described by a {name}.json in the weights folder."
        )
    # Channels last: the CPU's depthwise convolutions are twice as fast, the features the same.
    module = backbone.module.requires_grad_(False).to(memory_format=torch.channels_last).to(on)
    resize = f"bicubic, antialiased, to {input_px} px"
    return Extractor(
        name,
        backbone.weights_sha256,
        backbone.trained,
        backbone.dim,
        input_px,
        resize,
        on,
        lambda images: module(backbone.prepare(images, input_px).contiguous(memory_format=torch.channels_last)),
    )


def _inception2015(weights_dir: str, device: torch.device) -> Extractor:
    from torch_fidelity import FeatureExtractorInceptionV3  # its layers and its resize; it loads long

    path = find_weights("inception2015", weights_dir)
    # The library unpickles whatever it is given, so it is given tensors that were read with weights_only.
    tensors = io.BytesIO()
    torch.save(torch.load(path, map_location="cpu", weights_only=True), tensors)
    tensors.seek(0)
    module = FeatureExtractorInceptionV3("inception2015", ["2048"], feature_extractor_weights_path=tensors)
    module = module.to(device, memory_format=torch.channels_last)
    resize = "bilinear as in TensorFlow 1, to 299 px"
    sha256 = file_sha256(path)
    return Extractor("inception2015", sha256, True, 2048, 299, resize, device, lambda images: module(images)[0])
