"""What Prometheus shows of a selection."""

from collections.abc import Sequence

from components.core.telemetry import series
from components.core.telemetry.live import stage_metrics
from components.fid_select.selection_rule import SnapshotValues


def set_gauges(row: SnapshotValues, rows: Sequence[SnapshotValues]) -> None:
    """Sets the gauges to a snapshot's distances.

    Args:
        row: The snapshot that was measured last.
        rows: All snapshots so far.
    """
    gauges = stage_metrics()
    gauges.set(series.SNAPSHOT_KIMG, row["kimg"])
    gauges.set(series.KID, row["kid"], tiles="training")
    gauges.set(series.KID, row["kid_held_out"], tiles="held-out")
    gauges.set(series.FID, row["fid"])
    lowest = min((other["fid"] for other in rows if other["fid"] is not None), default=None)
    gauges.set(series.FID_LOWEST, lowest)
