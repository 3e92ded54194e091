"""Feature extractors: frozen networks from uint8 images to one vector per image, and the names that numbers carry.

Distances in the features of different extractors, or of one at different input sizes, do not compare.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from components.core.errors import ConfigError
from components.core.features.backbones import build_backbone, check_input_px
from components.core.features.custom import build_custom
from components.core.features.weights import find_weights
from components.core.io.atomic_files import file_sha256
from components.core.runtime.device import pick_device

EXTRACTORS = ("efficientnet_lite0", "resnet50", "resnet101", "inception2015")
UNTRAINED = "@random"


@dataclass(frozen=True)
class Extractor:
    """A frozen network.

    Attributes:
        name: Name of the network; ends in `@random` when the weights are untrained.
        weights_sha256: SHA-256 of the weights' file; '' = untrained.
        trained: False for random weights: its numbers rank nothing.
        dim: Width of a feature vector.
        input_px: Side of the network's input, pixels.
        resize: Method by which images are resized to that side.
        device: Device that it runs on.
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
        """Its name on a page."""
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
            name of a custom network (`custom`).
        weights_dir: Folder or bucket with weights files; '' = THYGAN_WEIGHTS, packages, cache, bucket, mirror, URL.
        device: A torch device, or "auto".
        input_px: Side of the network's input, a multiple of 32; smaller is faster and another measure. A
            custom network has the side that its description states.

    Raises:
        ConfigError: The extractor is unknown, or the side does not fit.
        WeightsError: Its weights are missing, unverified or of another architecture.
    """
    network_name = name.removesuffix(UNTRAINED)
    torch_device = pick_device(device)
    if name == "inception2015":
        return _inception2015(weights_dir, torch_device)
    if network_name in EXTRACTORS and name != f"inception2015{UNTRAINED}":
        check_input_px(input_px)
        pretrained = name == network_name
        backbone = build_backbone(network_name, num_classes=0, pretrained=pretrained, weights_dir=weights_dir)
    elif custom := build_custom(name, weights_dir):
        backbone, input_px = custom
    else:
        raise ConfigError(
            f"There is no feature extractor {name!r}; use {', '.join(EXTRACTORS)}, or a network of your own, "
            f"described by a {name}.json in the weights folder."
        )
    # Channels last: the CPU's depthwise convolutions are twice as fast, the features the same.
    module = backbone.module.requires_grad_(False).to(memory_format=torch.channels_last).to(torch_device)
    resize = f"bicubic, antialiased, to {input_px} px"
    return Extractor(
        name,
        backbone.weights_sha256,
        backbone.trained,
        backbone.dim,
        input_px,
        resize,
        torch_device,
        lambda images: module(backbone.prepare(images, input_px).contiguous(memory_format=torch.channels_last)),
    )


def _inception2015(weights_dir: str, device: torch.device) -> Extractor:
    from torch_fidelity import FeatureExtractorInceptionV3  # its layers and its resize; slow to import

    path = find_weights("inception2015", weights_dir)
    # The library unpickles its input, so it gets tensors that were read with weights_only.
    tensors = io.BytesIO()
    torch.save(torch.load(path, map_location="cpu", weights_only=True), tensors)
    tensors.seek(0)
    module = FeatureExtractorInceptionV3("inception2015", ["2048"], feature_extractor_weights_path=tensors)
    module = module.to(device, memory_format=torch.channels_last)
    resize = "bilinear as in TensorFlow 1, to 299 px"
    sha256 = file_sha256(path)
    return Extractor("inception2015", sha256, True, 2048, 299, resize, device, lambda images: module(images)[0])
