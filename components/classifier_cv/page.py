"""The page of one fold: loss curves of every classifier, confusion matrices of the test tiles, and counts."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from markupsafe import Markup

from components.core.html.lines import line_chart
from components.core.html.number_format import fraction
from components.core.html.render import render_page
from components.core.html.table import Cell
from components.core.records.classifier_cv import ClassifierRecord, ClassifierRow, EpochRow, FoldPartRow


def page_html(
    title: str, notes: Sequence[str], record: ClassifierRecord, predictions: pd.DataFrame, names: Sequence[str]
) -> str:
    """The page as HTML.

    Args:
        title: Title of the page.
        notes: Sentences that a reader must know before the numbers.
        record: The stage's record.
        predictions: Prediction rows of the test tiles; may be empty.
        names: Names of class 0 and class 1.
    """
    marks = sorted({row.mark for row in record.arms if row.mark})
    return render_page(
        __package__,
        "page.html.j2",
        title=title,
        notes=[*notes, *marks],
        parts=_part_table(record.parts),
        arms=_arm_table(record.arms),
        curves=[_curve(row, record.history) for row in record.arms],
        confusions=_confusions(predictions, names),
    )


def _part_table(parts: Sequence[FoldPartRow]) -> dict[str, Any]:
    unit = "tiles" if parts[0].fields is None else "fields"
    return {
        "headings": ["part", "patients", unit, "class0", "class1"],
        "rows": [[row.part, row.patients, getattr(row, unit), row.class0, row.class1] for row in parts],
    }


def _arm_table(arms: Sequence[ClassifierRow]) -> dict[str, Any]:
    rows = [asdict(row) for row in arms]
    return {
        "headings": [name.replace("_", " ") for name in rows[0]],
        "rows": [
            [Cell(fraction(value)) if isinstance(value, float) else value for value in row.values()] for row in rows
        ],
    }


def _curve(arm: ClassifierRow, history: Sequence[EpochRow]) -> Markup:
    epochs = [row for row in history if (row.arm, row.seed) == (arm.arm, arm.seed)]
    lines = {
        "training": [(row.epoch, row.train_loss) for row in epochs],
        "validation": [(row.epoch, row.val_loss) for row in epochs],
    }
    return line_chart(f"{arm.arm}, seed {arm.seed}", lines, "epochs", chosen=arm.best_epoch)


def _confusions(predictions: pd.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    """A confusion matrix of every classifier."""
    headings = ["actual", *(f"predicted {name}" for name in names)]
    matrices = []
    for (arm, seed), rows in predictions.groupby(["arm", "seed"], sort=False):
        counts = pd.crosstab(rows["class"], rows["pred_class"]).reindex(index=[0, 1], columns=[0, 1], fill_value=0)
        lines = [[names[actual], *counts.to_numpy()[actual].tolist()] for actual in (0, 1)]
        matrices.append({"caption": f"{arm}, seed {seed}", "headings": headings, "rows": lines})
    return matrices
