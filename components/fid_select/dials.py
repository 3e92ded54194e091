"""What a selection shows to whoever watches it from outside."""

from collections.abc import Sequence
from typing import Any

from components.core.telemetry import series
from components.core.telemetry.live import stage_metrics


def show(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Shows a snapshot's distances, among all so far."""
    told = stage_metrics().set
    told(series.SNAPSHOT_KIMG, row["kimg"])
    told(series.KID, row["kid"], tiles="training")
    told(series.KID, row["kid_held_out"], tiles="held-out")
    told(series.FID, row["fid"])
    told(series.FID_LOWEST, min((one["fid"] for one in rows if one["fid"] is not None), default=None))
