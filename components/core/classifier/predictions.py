"""Predictions: the probability of class 1 for each tile, and the prediction file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from components.core.classifier.frozen import FrozenClassifier
from components.core.features.backbones import Backbone
from components.core.io.atomic_files import write_text
from components.core.statistics.predictions import COLUMNS

_DIGITS = 9

Probabilities = npt.NDArray[np.float64]


@torch.inference_mode()
def logits(backbone: Backbone, tiles: torch.Tensor, input_px: int, batch: int, device: torch.device) -> torch.Tensor:
    """The network's logits of each tile, in evaluation mode and without randomness.

    Args:
        backbone: Network whose module is on `device`; its mode is restored afterwards.
        tiles: Tiles [N, 3, H, W] uint8.
        input_px: Side that tiles are resized to, pixels.
        batch: Number of tiles per forward pass, at least 1.
        device: Device of the computation.

    Returns:
        Logits [N, 2] float32 on the device.
    """
    training = backbone.module.training
    module = backbone.module.eval().to(memory_format=torch.channels_last)  # twice as fast on a CPU
    outputs = [torch.empty((0, 2), device=device)]
    for part in torch.split(tiles, batch) if len(tiles) else ():
        inputs = backbone.prepare(part.to(device), input_px)  # [n, 3, P, P]
        outputs.append(module(inputs.contiguous(memory_format=torch.channels_last)).float())
    module.train(training)
    return torch.cat(outputs)


def positive_probability(outputs: torch.Tensor) -> Probabilities:
    """Probability of class 1 from logits [N, 2], rounded as in the file, so that its readers decide equally."""
    return outputs.double().softmax(dim=1)[:, 1].cpu().numpy().round(_DIGITS)


def prediction_rows(table: pd.DataFrame, prob_positive: Probabilities, classifier: FrozenClassifier) -> pd.DataFrame:
    """Prediction rows of one classifier, in the columns of a prediction file.

    A threshold other than 0.5 is added as a column, for a vote on mean probabilities.

    Args:
        table: Manifest rows of the tiles.
        prob_positive: Probability of class 1 of each tile [N], 0..1.
        classifier: The classifier that predicted.
    """
    rows = pd.DataFrame(
        {
            "tile": table["file"].to_numpy(),
            "patient": table["patient"].to_numpy(),
            "case": table["case"].to_numpy(),
            "site": table["site"].to_numpy(),
            "diagnosis": table["diagnosis"].to_numpy(),
            "class": table["label"].to_numpy(dtype=np.int64),
            "pred_class": (prob_positive >= classifier.threshold).astype(np.int64),
            "prob_positive": prob_positive,
            "arm": classifier.arm,
            "fold": classifier.fold,
            "seed": classifier.seed,
        },
        columns=COLUMNS,
    )
    return rows if classifier.threshold == 0.5 else rows.assign(threshold=classifier.threshold)


def write_predictions(path: str | Path, parts: Sequence[pd.DataFrame]) -> None:
    """Writes prediction rows as CSV; the header alone where there are none."""
    table = pd.concat([pd.DataFrame(columns=COLUMNS), *(part for part in parts if len(part))])
    if "threshold" in table.columns:
        table["threshold"] = table["threshold"].fillna(0.5)
    write_text(path, table.to_csv(index=False, lineterminator="\n", float_format=f"%.{_DIGITS}f"))


def class_names(class_map: dict[str, int]) -> tuple[str, str]:
    """Names of class 0 and class 1: the diagnoses of each, joined by "+"."""
    names = ["+".join(sorted(d for d, label in class_map.items() if label == k)) or f"class {k}" for k in (0, 1)]
    return names[0], names[1]
