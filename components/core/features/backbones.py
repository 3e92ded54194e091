"""Classification networks for fine-tuning and, without their head, for features.

`efficientnet_lite0` is the package efficientnet_lite_pytorch's; every other name is torchvision's.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from components.core.errors import ConfigError, WeightsError, is_out_of_memory
from components.core.features.registry import REGISTRY
from components.core.features.weights import find_weights, locate
from components.core.io.atomic_files import file_sha256

EFFICIENTNET_LITE0 = "efficientnet_lite0"
_STRIDE = 32  # all of them halve the image five times

_EFFICIENTNET_MEAN, _EFFICIENTNET_STD = (127.0,) * 3, (128.0,) * 3  # grey levels 0..255
_IMAGENET_MEAN, _IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Backbone:
    """A network and the normalisation of its input.

    Attributes:
        name: Name of the network.
        module: The network, [N, 3, H, W] float -> [N, num_classes] logits, or [N, dim] features without a head.
        dim: Width of the features that the head sees.
        mean: Mean that is subtracted from each channel, grey levels.
        std: Standard deviation that each channel is divided by, grey levels.
        weights_sha256: SHA-256 of the file of the trained weights; '' = untrained.
        trained: Whether it starts from trained weights.
    """

    name: str
    module: nn.Module
    dim: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    weights_sha256: str
    trained: bool

    def check_input_px(self, input_px: int) -> None:
        """Raises ConfigError for a side that the network does not take: vision transformers are built for one."""
        built_for = getattr(self.module, "image_size", input_px)
        if built_for != input_px:
            raise ConfigError(
                f"{self.name} takes images of {built_for} px only, not of {input_px}: use that, or another network."
            )

    def prepare(self, images: Tensor, input_px: int) -> Tensor:
        """Network input of uint8 images [N, 3, H, W]: bicubic, antialiased, to `input_px`, then normalised."""
        x = images.float()  # [N, 3, H, W], grey levels
        if x.shape[-2:] != (input_px, input_px):
            x = nn.functional.interpolate(x, (input_px, input_px), mode="bicubic", antialias=True).clamp(0, 255)
        mean, std = (x.new_tensor(value).view(1, 3, 1, 1) for value in (self.mean, self.std))
        return (x - mean) / std  # [N, 3, P, P]


def check_input_px(input_px: int) -> int:
    """The side of a network's input; a multiple of 32, so that no stage pads one side more than it was trained to."""
    if input_px < _STRIDE or input_px % _STRIDE:
        raise ConfigError(
            f"A network's input of {input_px} px does not fit: give a multiple of {_STRIDE}, usually 224."
        )
    return input_px


def build_backbone(name: str, *, num_classes: int, pretrained: bool, weights_dir: str = "", seed: int = 0) -> Backbone:
    """Builds a network on the CPU, in eval mode, with a fresh head.

    Args:
        name: "efficientnet_lite0", or a torchvision classification model, for example "resnet101".
        num_classes: Logits of the head; 0 = no head, the module gives the features.
        pretrained: Start from the registered trained weights.
        weights_dir: Folder or bucket with weights files; '' = THYGAN_WEIGHTS, packages, cache, bucket, mirror, URL.
        seed: Seed of the fresh parameters.

    Raises:
        ConfigError: The network is unknown.
        WeightsError: It has no trained weights, or weights of another architecture.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _build_untrained(name)
        sha256 = ""
        if pretrained:
            path = _weights_file(name, weights_dir)
            sha256 = file_sha256(path)
            try:
                module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                raise WeightsError(f"{path} does not fit {name}: {str(error).splitlines()[0]}") from None
        _remove_auxiliary_heads(module)
        dim = _replace_head(name, module, num_classes)
    lite = name == EFFICIENTNET_LITE0
    mean, std = (_EFFICIENTNET_MEAN, _EFFICIENTNET_STD) if lite else (_IMAGENET_MEAN, _IMAGENET_STD)
    return Backbone(name, module.eval(), dim, mean, std, sha256, pretrained)


def _weights_file(name: str, weights_dir: str) -> Path:
    if name in REGISTRY:
        return find_weights(name, weights_dir)
    from components.core.features.torchvision_weights import torchvision_weights

    return locate(torchvision_weights(name), weights_dir)


def _build_untrained(name: str) -> nn.Module:
    if name == EFFICIENTNET_LITE0:
        return EfficientNet.from_name("efficientnet-lite0")
    import torchvision  # slow to import, so only for its own networks

    if name not in torchvision.models.list_models(module=torchvision.models):
        raise ConfigError(
            f"There is no network {name!r}: use {EFFICIENTNET_LITE0}, or one of torchvision's such as resnet50."
        )
    module: nn.Module = torchvision.models.get_model(name, weights=None)
    return module


_WITHOUT_AUXILIARY = {"aux_logits": False, "transform_input": True, "AuxLogits": None, "aux1": None, "aux2": None}


def _remove_auxiliary_heads(module: nn.Module) -> None:
    """Removes the auxiliary heads of Inception and GoogLeNet; their weights need another input scale, which stays."""
    if getattr(module, "aux_logits", False):
        for name, value in _WITHOUT_AUXILIARY.items():
            setattr(module, name, value)


def _replace_head(name: str, module: nn.Module, num_classes: int) -> int:
    """Replaces the last linear layer by a fresh one, or by none; returns its input width."""
    linear = [(path, layer) for path, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise ConfigError(
            f"{name} does not end in a linear layer, so its head cannot be replaced: use another network."
        )
    path, last = linear[-1]
    parent, _, attribute = path.rpartition(".")
    head = nn.Linear(last.in_features, num_classes) if num_classes else nn.Identity()
    setattr(module.get_submodule(parent), attribute, head)
    return last.in_features
