"""Predictions in the form of Thy-GAN's files: an image a row, the probability of the predicted class."""

import pandas as pd

THYGAN_COLUMNS = ["patient", "diagnosis", "class", "pred_class", "pred_prob"]


def to_thygan_format(predictions: pd.DataFrame) -> pd.DataFrame:
    """The table in the columns of Thy-GAN's `test_preds.csv`.

    Args:
        predictions: Predictions of one arm, fold and seed, as `read_predictions` returns them. A patient of
            that form is our case: the unit of the vote and of the label.
    """
    positive = predictions["prob_positive"]
    return pd.DataFrame(
        {
            "patient": predictions["case"].where(predictions["case"] != "", predictions["patient"]),
            "diagnosis": predictions["diagnosis"],
            "class": predictions["class"],
            "pred_class": predictions["pred_class"],
            "pred_prob": positive.where(predictions["pred_class"] == 1, 1 - positive),
        },
        columns=THYGAN_COLUMNS,
    )
