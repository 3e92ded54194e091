"""ImageNet weights of torchvision's other networks, from torchvision's own table: each file's name holds its hash."""

import re

from components.core.errors import WeightsError
from components.core.features.registry import Weights

_HASH = re.compile(r"-([0-9a-f]{8,})\.pth$")


def torchvision_weights(name: str) -> Weights:
    """The entry of a torchvision classification network: its weights IMAGENET1K_V1, formerly `pretrained=True`.

    Raises:
        WeightsError: torchvision publishes no such weights for the network.
    """
    import torchvision  # slow to import, so only for its own networks

    published = torchvision.models.get_model_weights(name)
    chosen = getattr(published, "IMAGENET1K_V1", None)
    match = _HASH.search(chosen.url) if chosen else None
    if chosen is None or match is None:
        raise WeightsError(
            f"torchvision publishes no ImageNet-1k weights (IMAGENET1K_V1) for {name!r}: use another network, or "
            "train it from random weights with --no-pretrained."
        )
    return Weights(
        name,
        chosen.url.rpartition("/")[2],
        match[1],
        round(chosen.meta["_file_size"] * 2**20),
        "BSD-3-Clause (torchvision)",
        "torchvision IMAGENET1K_V1, ImageNet-1k",
        url=chosen.url,
    )
