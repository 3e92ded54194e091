"""The folder that later stages read, as it grows."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from components.core.data.archive import Pixels, decode, encode_png
from components.core.stylegan2.snapshot import save_snapshot
from components.gan_train.collapse import ThumbnailMetrics, why_collapsed
from components.gan_train.config import TrainingConfig
from components.gan_train.dataset import Tiles
from components.gan_train.sample_grid import SampleGrid
from components.gan_train.snapshot_uploader import SnapshotUploader
from components.gan_train.trainer import GanTrainer
from components.gan_train.training_loop import Row, TickStats

STATS, REALS = "stats.jsonl", "reals.png"
_IMAGES_PER_COMPARED = 16  # trained on, for one that is compared at a snapshot


class Outputs:
    """Snapshots, grids and statistics of a training.

    Attributes:
        rows: Statistics of all ticks.
        reals: Grid of training tiles.
        fakes: kimg and grid of each snapshot.
    """

    def __init__(
        self,
        folder: Path,
        training: GanTrainer,
        tiles: Tiles,
        *,
        keep_best: int,
        stops: bool,
        copies: SnapshotUploader | None,
    ) -> None:
        """Begins a folder.

        Args:
            folder: An empty one.
            training: What is written down.
            tiles: What it is trained on.
            keep_best: How many snapshots stay; 0 = all.
            stops: Whether a collapse is to end the training.
            copies: Where files are copied to; None = nowhere.
        """
        self.folder, self._training, self._copies = folder, training, copies
        self._keep_best, self._stops = keep_best, stops
        s = training.settings
        self._grid = SampleGrid(tiles.resolution, tiles.c_dim)
        self._likeness = ThumbnailMetrics(tiles, int(s.snapshot_kimg * 1000 / _IMAGES_PER_COMPARED), s.seed)
        self._snapshots: list[dict[str, Any]] = []
        self.rows: list[Row] = []
        self.fakes: list[tuple[float, Pixels]] = []
        self.reals = self._grid.reals(tiles)
        (folder / REALS).write_bytes(encode_png(self.reals))
        (folder / STATS).touch()

    def begin(self) -> None:
        """Keeps the network that the training starts from."""
        self._keep(0.0, "fakes_init")

    def tick(self, tick: TickStats) -> None:
        """Writes a tick's row and, where one is due, a snapshot with its grid."""
        row = {**tick.row, "recall": None, "distance": None}
        if tick.is_snapshot:
            row |= self._keep(row["kimg"], f"fakes{_number(row['kimg'], self._training.settings)}")
        self.rows.append(row)
        with (self.folder / STATS).open("a", encoding="utf-8") as stats:
            stats.write(json.dumps(row) + "\n")

    def why_stop(self) -> str:
        """Why the training should end here; '' = it should not."""
        s = self._training.settings
        if not self._stops or not self.rows:
            return ""
        return why_collapsed(self.rows, s.ada_kimg)

    def state_dict(self) -> dict[str, Any]:
        """What the folder holds, and the files that have no copy yet."""
        return {
            "rows": self.rows,
            "snapshots": self._snapshots,
            "waiting": self._copies.waiting() if self._copies else {},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Fills the folder as it was, out of the copies."""
        self.rows = state["rows"]
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        (self.folder / STATS).write_text(lines, encoding="utf-8")
        for snapshot in state["snapshots"]:
            grid, files = snapshot["grid"], snapshot["files"]
            if self._restore(grid, state["waiting"]):
                self.fakes.append((snapshot["kimg"], decode((self.folder / grid).read_bytes())))
            self._snapshots.append(
                {**snapshot, "files": [one for one in files if self._restore(one, state["waiting"])]}
            )

    def close(self) -> None:
        """Waits for the last copies."""
        if self._copies:
            self._copies.close()

    def _keep(self, kimg: float, grid_name: str) -> dict[str, float | None]:
        s, G, device = self._training.settings, self._training.G_ema, self._training.device
        files = [f"network-snapshot-{_number(kimg, s)}{suffix}" for suffix in (".safetensors", ".json")]
        save_snapshot(self.folder / files[0], G, kimg)
        pixels, grid = self._grid.fakes(G, device, s.batch_gpu), f"{grid_name}.png"
        (self.folder / grid).write_bytes(encode_png(pixels))
        self.fakes.append((kimg, pixels))
        measured = self._likeness.measure(G, device, s.batch_gpu)
        self._snapshots.append({"kimg": kimg, "distance": measured["distance"], "grid": grid, "files": files})
        if self._copies:
            for name in (*files, grid):
                self._copies.put(self.folder / name)
        self._drop_worst()
        return measured

    def _drop_worst(self) -> None:
        """Of more than are to be kept, the one goes whose images look least like the tiles; its grid stays."""
        kept = [one for one in self._snapshots if one["files"]]
        if not self._keep_best or len(kept) <= self._keep_best:
            return
        worst = max(kept, key=lambda one: (one["distance"] is None, one["distance"] or 0.0))
        for name in worst["files"]:
            (self.folder / name).unlink()
            if self._copies:
                self._copies.remove(name)
        worst["files"] = []

    def _restore(self, name: str, waiting: dict[str, Tensor]) -> bool:
        assert self._copies, "only what lies beside checkpoints can be restored"
        if name not in waiting:
            return self._copies.get(name, self.folder / name)
        (self.folder / name).write_bytes(waiting[name].numpy().tobytes())
        self._copies.put(self.folder / name)
        return True


def _number(kimg: float, settings: TrainingConfig) -> str:
    """kimg in a file name: six digits, with three decimals where snapshots do not fall on whole kimg."""
    if float(settings.kimg).is_integer() and float(settings.snapshot_kimg).is_integer():
        return f"{int(kimg):06d}"
    return f"{kimg:010.3f}"
