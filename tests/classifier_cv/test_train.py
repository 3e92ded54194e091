"""Training and its parts, without the stage around them."""

import numpy as np
import pytest
import torch

from components.classifier_cv.data import ArmTiles, LabelledTiles, TrainingTiles
from components.classifier_cv.options import ClassifierOptions
from components.classifier_cv.train import choose_threshold, train_classifier
from components.core.errors import ConfigError, TrainingError
from components.core.features.backbones import build_backbone


def toy_tiles(count: int, seed: int) -> LabelledTiles:
    """Dark and light tiles."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    images = torch.randint(0, 100, (count, 3, 32, 32), generator=generator) + 100 * labels.view(-1, 1, 1, 1)
    return LabelledTiles(images.to(torch.uint8), labels)


def settings(epochs: int, patience: int, batch: int, learning_rate: float, weight_decay: float) -> ClassifierOptions:
    return ClassifierOptions(
        input_px=32,
        epochs=epochs,
        patience=patience,
        batch=batch,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
    )


def arm(training: int) -> ArmTiles:
    tiles = toy_tiles(training, 0)
    return ArmTiles(
        TrainingTiles(tiles.labels, training, tiles.images), toy_tiles(8, 1), toy_tiles(4, 2).images, None, 0
    )


@pytest.mark.parametrize("name", ["resnet50", "resnet101"])
def test_large_networks_take_a_step(name):
    network = build_backbone(name, num_classes=2, pretrained=False)
    before = network.module.layer4[0].conv1.weight.detach().clone()
    result = train_classifier(network, arm(4), settings(1, 1, 4, 1e-3, 1e-6), 0, "0.5", name)
    assert len(result.history) == 1 and np.isfinite(result.history[0]["train_loss"])
    assert not torch.equal(before, network.module.layer4[0].conv1.weight)


def test_a_last_batch_of_one_tile_is_shared_out():
    """17 tiles in batches of at most 16: batch norm needs two."""
    network = build_backbone("shufflenet_v2_x0_5", num_classes=2, pretrained=False)
    sizes = []
    network.module.register_forward_pre_hook(
        lambda module, inputs: sizes.append(len(inputs[0])) if module.training else None
    )
    train_classifier(network, arm(17), settings(1, 1, 16, 1e-3, 0.0), 0, "0.5", "17 tiles")
    assert sorted(sizes) == [8, 9]


def test_stops_without_progress():
    network = build_backbone("shufflenet_v2_x0_5", num_classes=2, pretrained=False)
    result = train_classifier(network, arm(8), settings(60, 2, 8, 0.01, 0.0), 0, "0.5", "patience")
    losses = [row["val_loss"] for row in result.history]
    assert len(losses) < 60 and len(losses) == result.best_epoch + 2
    assert losses[result.best_epoch - 1] == min(losses)


def test_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    network = build_backbone("shufflenet_v2_x0_5", num_classes=2, pretrained=False)
    train_classifier(network, arm(4), settings(1, 1, 4, 1e-3, 0.0), 0, "0.5", "global")
    assert torch.equal(torch.rand(3), expected)


def test_published_way_trains_in_evaluation_mode_after_the_first_step():
    def modes(published):
        network = build_backbone("shufflenet_v2_x0_5", num_classes=2, pretrained=False)
        seen = []
        network.module.register_forward_pre_hook(
            lambda module, inputs: seen.append((torch.is_grad_enabled(), module.training))
        )
        train_classifier(network, arm(12), settings(2, 2, 4, 1e-3, 0.0), 0, "0.5", "published", published=published)
        return [training for learning, training in seen if learning]

    assert modes(True) == [True, False, False] * 2
    assert modes(False) == [True] * 6


def test_a_diverging_training_says_so():
    network = build_backbone("shufflenet_v2_x0_5", num_classes=2, pretrained=False)
    with pytest.raises(TrainingError, match="lower learning rate"):
        train_classifier(network, arm(8), settings(9, 9, 4, 1e30, 0.0), 0, "0.5", "wild")


@pytest.mark.parametrize("seed", range(5))
def test_youden_is_the_best_of_all_thresholds(seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 40)
    scores = (rng.random(40) + 0.5 * truth).round(1) / 1.5

    def youden(threshold):
        predicted = scores >= threshold
        return predicted[truth == 1].mean() - predicted[truth == 0].mean()

    threshold = choose_threshold("youden", truth, scores)
    assert youden(threshold) == pytest.approx(max(youden(score) for score in scores))
    assert choose_threshold("0.5", truth, scores) == 0.5
    assert choose_threshold("youden", np.ones(4), scores[:4]) == 0.5
    with pytest.raises(ConfigError, match="youden"):
        choose_threshold("f1", truth, scores)
