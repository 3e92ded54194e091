"""Backbones and extractors, on photographs with known content and on the library's own forward pass."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from sklearn.datasets import load_sample_images

from components.core.errors import ConfigError, WeightsError
from components.core.features.backbones import build_backbone
from components.core.features.extract import features_of
from components.core.features.extractors import load_extractor
from components.core.features.registry import REGISTRY
from components.core.features.weights import find_weights
from components.core.fidelity.fid import frechet_distance
from components.core.fidelity.kid import kernel_distance
from components.core.io.atomic_files import file_sha256

DAISY, PALACE = 985, 698  # ImageNet classes
SHARED = Path(__file__).parents[4] / "shared"


@pytest.fixture(scope="module")
def photographs() -> torch.Tensor:
    """A palace and a flower, centre-cropped, uint8 [2, 3, 224, 224]."""
    return torch.stack([_square(image) for image in load_sample_images().images])


def _square(image: np.ndarray) -> torch.Tensor:
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(image[top : top + side, left : left + side]).resize((224, 224), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)


def test_efficientnet_knows_what_it_sees(photographs: torch.Tensor) -> None:
    extractor = load_extractor("efficientnet_lite0")
    whole = EfficientNet.from_name("efficientnet-lite0").eval()
    whole.load_state_dict(torch.load(find_weights("efficientnet_lite0"), weights_only=True))
    features = extractor(photographs)
    assert features.shape == (2, extractor.dim) == (2, 1280)
    assert whole._fc(features).argmax(1).tolist() == [PALACE, DAISY]
    with torch.no_grad():
        expected = whole((photographs.float() - 127) / 128)
    torch.testing.assert_close(whole._fc(features).detach(), expected)
    assert extractor.record()["extractor_sha256"] == REGISTRY["efficientnet_lite0"].sha256


def test_resize_is_pillows(photographs: torch.Tensor) -> None:
    backbone = build_backbone("efficientnet_lite0", num_classes=0, pretrained=False)
    small = backbone.prepare(photographs, 96) * 128 + 127
    for ours, image in zip(small.flatten(0, 1), photographs.flatten(0, 1), strict=True):  # [96, 96], [224, 224]
        pillow = Image.fromarray(image.float().numpy()).resize((96, 96), Image.Resampling.BICUBIC)  # mode F: unrounded
        np.testing.assert_allclose(ours, np.array(pillow).clip(0, 255), atol=0.01)  # grey levels


def test_features_do_not_depend_on_the_batch(photographs: torch.Tensor) -> None:
    extractor = load_extractor("efficientnet_lite0", input_px=96)
    images = [image.permute(1, 2, 0).numpy() for image in photographs] * 2
    features = features_of(extractor, iter(images), 3, "test")
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, features_of(extractor, images, 1, "test"), atol=1e-4)
    assert features_of(extractor, [], 4, "test").shape == (0, 1280)


def test_untrained_says_so_everywhere() -> None:
    extractor = load_extractor("resnet50@random", input_px=32)
    assert not extractor.trained
    assert extractor.weights_sha256 == ""
    assert "UNTRAINED" in extractor.title
    assert extractor.record()["extractor"] == "resnet50@random"
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert extractor(images).shape == (2, 2048)
    torch.testing.assert_close(extractor(images), load_extractor("resnet50@random", input_px=32)(images))


def test_resnet_without_weights_says_where_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match=r"resnet101-63fe2227\.pth"):
        load_extractor("resnet101")


def test_resnet_weights_from_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save(build_backbone("resnet18", num_classes=1000, pretrained=False).module.state_dict(), tmp_path / "net.pth")
    (tmp_path / "net.pth").rename(tmp_path / REGISTRY["resnet18"].file)
    with pytest.raises(WeightsError, match=r"is not resnet18-f37072fd\.pth"):
        build_backbone("resnet18", num_classes=2, pretrained=True, weights_dir=str(tmp_path))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18", "mobilenet_v3_small"])
def test_a_gradient_flows_through_and_the_head_is_new(name: str) -> None:
    backbone = build_backbone(name, num_classes=2, pretrained=False)
    images = torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    logits = backbone.module(backbone.prepare(images, 64))
    assert logits.shape == (2, 2)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.module.parameters())


def test_fresh_parameters_are_the_seeds_and_leave_the_global_draws_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    heads = [
        build_backbone("resnet18", num_classes=2, pretrained=False, seed=seed).module.fc.weight for seed in (0, 0, 1)
    ]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("name", "px"),
    [("vgg", 224), ("efficientnet_lite0", 100), ("efficientnet_lite0", 0), ("inception2015@random", 299)],
)
def test_bad_names_and_sizes(name: str, px: int) -> None:
    with pytest.raises(ConfigError):
        load_extractor(name, input_px=px)


def test_bad_networks_and_devices() -> None:
    with pytest.raises(ConfigError, match="no network"):
        build_backbone("fasterrcnn_resnet50_fpn", num_classes=2, pretrained=False)
    with pytest.raises(ConfigError, match="no device"):
        load_extractor("efficientnet_lite0", device="gpu7")


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real InceptionV3 weights of another training, in the form of the registered file."""
    other = SHARED / "weights" / "inceptionv3-nsfwjs-fp16.pth"
    if not other.exists():
        pytest.skip("skipped: shared InceptionV3 weights are absent")
    state = {key: value.float() for key, value in torch.load(other, weights_only=True).items()}
    state |= {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    path = tmp_path_factory.mktemp("inception") / REGISTRY["inception2015"].file
    torch.save(state, path)
    return path


def test_inception_of_another_hash_is_refused(inception_weights: Path) -> None:
    with pytest.raises(WeightsError, match="is not weights-inception"):
        load_extractor("inception2015", weights_dir=str(inception_weights.parent))


def test_fid_and_kid_are_torch_fidelitys_on_the_same_images_and_weights(
    monkeypatch: pytest.MonkeyPatch, inception_weights: Path
) -> None:
    """Images -> FID and KID through both, in full; the registered hash is replaced by that of the weights at hand."""
    from torch_fidelity import calculate_metrics

    entry = replace(REGISTRY["inception2015"], sha256=file_sha256(inception_weights))
    monkeypatch.setitem(REGISTRY, "inception2015", entry)
    extractor = load_extractor("inception2015", weights_dir=str(inception_weights.parent))
    rng = np.random.default_rng(0)
    sets = [
        np.stack([_blobs(rng, softness) for _ in range(24)])  # [24, 64, 64, 3]
        for softness in (4, 9)
    ]
    ours = [features_of(extractor, images, 8, "test") for images in sets]
    theirs = calculate_metrics(
        input1=_Images(sets[0]), input2=_Images(sets[1]), fid=True, kid=True, cuda=False, batch_size=8, verbose=False,
        kid_subsets=1, kid_subset_size=24, feature_extractor_weights_path=str(inception_weights), save_cpu_ram=True,
        samples_find_deep=False, cache=False,
    )  # fmt: skip
    scale = np.sqrt(24 / 23)  # it divides covariances by n - 1, the reference and we by n
    wider = [(one - one.mean(0)) * scale + one.mean(0) for one in ours]
    assert frechet_distance(*wider) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-3)
    assert kernel_distance(*ours).value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3, abs=1e-3)


def _blobs(rng: np.random.Generator, softness: int) -> np.ndarray:
    small = Image.fromarray(rng.integers(0, 256, (softness, softness, 3), dtype=np.uint8))
    return np.array(small.resize((64, 64), Image.Resampling.BICUBIC))


class _Images(torch.utils.data.Dataset):
    def __init__(self, images: np.ndarray) -> None:
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> torch.Tensor:
        return self.images[place]
