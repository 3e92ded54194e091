"""The Fréchet distance against scipy's sqrtm, and features against torch-fidelity's, with the same network.

    python bench/distances.py frechet
    python bench/distances.py features TILES WEIGHTS    a folder of images; weights in the 2015 Inception's form

The baseline of the distance is what pytorch-fid and the original do: covariances, then `scipy.linalg.sqrtm` of their
product. Both are in CPU seconds, medians of alternating rounds; run it with OMP_NUM_THREADS=1. The baseline of
features is torch-fidelity's own loop over the same images as PNG files, with the same network (torch-fidelity's, which
thygan uses, too) and the same weights, in alternating rounds of one process.
"""

import copy
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from PIL import Image

from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.features.extract import features_of
from components.core.features.extractors import Extractor
from components.core.fidelity.fid import frechet_distance

DIM, FULL, DEFICIENT = 2048, 5000, 512
IMAGES, BATCH, ROUNDS, SIDE = 64, 16, 3, 256


def main() -> None:
    if sys.argv[1] == "frechet":
        frechet()
    else:
        features(*map(Path, sys.argv[2:]))


def frechet() -> None:
    print(
        "| 2048-d | sqrtm s | ours s | times | relative difference |\n| --- | ---: | ---: | ---: | ---: |", flush=True
    )
    for name, samples in ((f"full rank, {FULL} samples", FULL), (f"rank-deficient, {DEFICIENT} samples", DEFICIENT)):
        rng = np.random.default_rng(0)
        scale = np.geomspace(1, 0.01, DIM)  # features' variances span orders of magnitude
        a, b = ((rng.normal(size=(samples, DIM)) * scale + shift).astype(np.float32) for shift in (0, 0.02))
        methods = {"sqrtm": by_sqrtm, "ours": frechet_distance}
        distances: dict[str, float] = {}
        seconds: dict[str, list[float]] = {method: [] for method in methods}
        for _ in range(ROUNDS):
            for method, compute in methods.items():
                start = time.process_time()
                distances[method] = compute(a, b)
                seconds[method].append(time.process_time() - start)
        slow, fast = (statistics.median(seconds[method]) for method in methods)
        ratio = statistics.median(x / y for x, y in zip(seconds["sqrtm"], seconds["ours"], strict=True))
        difference = abs(distances["ours"] - distances["sqrtm"]) / abs(distances["sqrtm"])
        print(f"| {name} | {slow:.1f} | {fast:.2f} | **{ratio:.1f}** | {difference:.1e} |", flush=True)


def by_sqrtm(a: np.ndarray, b: np.ndarray) -> float:
    covariances = [np.cov(features.astype(np.float64), rowvar=False, bias=True) for features in (a, b)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    offset = a.mean(axis=0, dtype=np.float64) - b.mean(axis=0, dtype=np.float64)
    return float(offset @ offset + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.trace(root))


def features(folder: Path, weights: Path) -> None:
    from torch_fidelity.datasets import ImagesPathDataset
    from torch_fidelity.utils import get_featuresdict_from_dataset

    with tempfile.TemporaryDirectory() as scratch:
        tiles = Path(scratch) / "tiles"
        tiles.mkdir()
        with ArchiveWriter(Path(scratch) / "tiles.zip", compress_level=1) as archive:
            for place, path in enumerate(sorted(folder.iterdir())[:IMAGES]):
                image = Image.open(path).convert("RGB").resize((SIDE, SIDE))
                archive.add(np.array(image), {"label": 0})
                image.save(tiles / f"{place:05d}.png", compress_level=1)
        reference = inception(weights, Path(scratch))
        module = copy.deepcopy(reference).to(memory_format=torch.channels_last)  # as `load_extractor` does
        extractor = Extractor(
            "inception", "", False, 2048, 299, "", torch.device("cpu"), lambda images: module(images)[0]
        )
        dataset = ImagesPathDataset([str(path) for path in sorted(tiles.iterdir())])

        def thygan_features() -> np.ndarray:
            with ImageArchive(Path(scratch) / "tiles.zip") as archive:
                return features_of(extractor, archive.images(), BATCH, "ours", IMAGES)

        def torch_fidelity_features() -> np.ndarray:
            by_layer = get_featuresdict_from_dataset(dataset, reference, BATCH, False, True, False)
            return by_layer["2048"].numpy()

        methods: dict[str, Callable[[], np.ndarray]] = {
            "torch-fidelity": torch_fidelity_features,
            "thygan": thygan_features,
        }
        rates: dict[str, list[float]] = {name: [] for name in methods}
        results = {}
        for _ in range(ROUNDS):
            for name, compute in methods.items():
                results[name], seconds = _run_and_time(compute)
                rates[name].append(IMAGES / seconds)
    difference = np.abs(results["thygan"] - results["torch-fidelity"]).max() / np.abs(results["torch-fidelity"]).max()
    medians = {name: statistics.median(of_method) for name, of_method in rates.items()}
    ratio = statistics.median(a / b for a, b in zip(rates["thygan"], rates["torch-fidelity"], strict=True))
    print("| 2015 Inception, images/s | torch-fidelity | thygan | times | largest difference |")
    print("| --- | ---: | ---: | ---: | ---: |")
    print(
        f"| {IMAGES} images of {SIDE} px | {medians['torch-fidelity']:.2f} | {medians['thygan']:.2f} | "
        f"**{ratio:.2f}** | {difference:.0e} |"
    )


def inception(weights: Path, scratch: Path) -> torch.nn.Module:
    """torch-fidelity's 2015 Inception with these weights; a head that they lack is zero, features do not use it."""
    from torch_fidelity import FeatureExtractorInceptionV3

    state = {name: value.float() for name, value in torch.load(weights, weights_only=True).items()}
    head = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    torch.save(head | state, scratch / "inception.pth")
    path = str(scratch / "inception.pth")
    return FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=path)


def _run_and_time(compute: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    start = time.perf_counter()
    result = compute()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    main()
