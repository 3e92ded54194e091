"""Predictions: the probability of class 1 for each tile, and the table they travel in."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from components.core.classifier.frozen import Frozen
from components.core.features.backbones import Backbone
from components.core.io.atomic_files import write_text
from components.core.statistics.predictions import COLUMNS

_DIGITS = 9

Probabilities = npt.NDArray[np.float64]


@torch.inference_mode()
def logits(backbone: Backbone, tiles: torch.Tensor, input_px: int, batch: int, device: torch.device) -> torch.Tensor:
    """The network's answer to each tile, in eval mode and without randomness.

    Args:
        backbone: Its module lies on `device`; its mode is put back afterwards.
        tiles: [N, 3, H, W] uint8.
        input_px: Side that tiles are resized to.
        batch: Tiles at once.
        device: Where to compute.

    Returns:
        Logits [N, 2] float32 on the device.
    """
    training = backbone.module.training
    module = backbone.module.eval().to(memory_format=torch.channels_last)  # twice as fast on a CPU
    answers = [torch.empty((0, 2), device=device)]
    for part in tiles.split(batch) if len(tiles) else ():
        inputs = backbone.prepare(part.to(device), input_px)  # [n, 3, P, P]
        answers.append(module(inputs.contiguous(memory_format=torch.channels_last)).float())
    module.train(training)
    return torch.cat(answers)


def positive(answers: torch.Tensor) -> Probabilities:
    """Probability of class 1 from logits [N, 2]; rounded as it is written, so that a reader decides alike."""
    return answers.double().softmax(dim=1)[:, 1].cpu().numpy().round(_DIGITS)


def prediction_rows(table: pd.DataFrame, prob_positive: Probabilities, frozen: Frozen) -> pd.DataFrame:
    """One row per tile of the manifest's `table`, in the columns of a prediction file.

    Where the threshold is not 0.5 it follows as a column, for a vote on mean probabilities.
    """
    rows = pd.DataFrame(
        {
            "tile": table["file"].to_numpy(),
            "patient": table["patient"].to_numpy(),
            "case": table["case"].to_numpy(),
            "site": table["site"].to_numpy(),
            "diagnosis": table["diagnosis"].to_numpy(),
            "class": table["label"].to_numpy(dtype=np.int64),
            "pred_class": (prob_positive >= frozen.threshold).astype(np.int64),
            "prob_positive": prob_positive,
            "arm": frozen.arm,
            "fold": frozen.fold,
            "seed": frozen.seed,
        },
        columns=COLUMNS,
    )
    return rows if frozen.threshold == 0.5 else rows.assign(threshold=frozen.threshold)


def write_predictions(path: str | Path, parts: Sequence[pd.DataFrame]) -> None:
    """Writes prediction rows as CSV; only the header where there are none."""
    table = pd.concat([pd.DataFrame(columns=COLUMNS), *(part for part in parts if len(part))])
    if "threshold" in table.columns:
        table["threshold"] = table["threshold"].fillna(0.5)
    write_text(path, table.to_csv(index=False, lineterminator="\n", float_format=f"%.{_DIGITS}f"))


def class_names(class_map: dict[str, int]) -> tuple[str, str]:
    """Names of class 0 and class 1: the diagnoses that the study puts into them."""
    named = ["+".join(sorted(d for d, label in class_map.items() if label == k)) or f"class {k}" for k in (0, 1)]
    return named[0], named[1]
