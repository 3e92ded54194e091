"""The snapshots folder of a training: networks, grids and statistics, with copies beside the checkpoints."""

import json
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from components.core.checkpoint.upload_queue import UploadQueue
from components.core.data.file_names import REAL_GRID, TRAINING_STATS
from components.core.data.images import Pixels, decode, encode_png
from components.core.errors import DataError, StoreError
from components.core.records.gan_train import TickRow
from components.core.runtime.progress import log
from components.core.store import is_bucket, open_store
from components.core.stylegan2.snapshot import save_snapshot
from components.gan_train.collapse import ThumbnailMetrics, collapse_reason
from components.gan_train.config import TrainingConfig
from components.gan_train.dataset import Tiles
from components.gan_train.page import SampleGrid
from components.gan_train.trainer import GanTrainer

_IMAGES_PER_THUMBNAIL = 16  # images of training between snapshots for one thumbnail that a snapshot is measured by
_LAST_UPLOADS_S = 20.0


class Outputs:
    """Snapshots, grids and statistics of a training.

    Attributes:
        folder: Folder that later stages read.
        rows: Statistics of all ticks.
        reals: Grid of training tiles.
        fakes: Position in kimg and grid of each snapshot.
    """

    def __init__(
        self,
        folder: Path,
        trainer: GanTrainer,
        tiles: Tiles,
        *,
        keep_best: int | None,
        stop_on_collapse: bool,
        uploader: "SnapshotUploader | None",
    ) -> None:
        """Starts a folder.

        Args:
            folder: Empty folder.
            trainer: Training whose networks are saved.
            tiles: Training tiles.
            keep_best: Number of snapshots that stay; None = all.
            stop_on_collapse: True where a collapse ends the training.
            uploader: Copies of the files for a resumed training; None = no copies.
        """
        self.folder, self._trainer, self._uploader = folder, trainer, uploader
        self._keep_best, self._stop_on_collapse = keep_best, stop_on_collapse
        config = trainer.config
        self._grid = SampleGrid(tiles.resolution, tiles.c_dim)
        count = int(config.snapshot_kimg * 1000 / _IMAGES_PER_THUMBNAIL)
        self._thumbnails = ThumbnailMetrics(tiles, count, config.seed)
        self._snapshots: list[dict[str, Any]] = []
        self.rows: list[TickRow] = []
        self.fakes: list[tuple[float, Pixels]] = []
        self.reals = self._grid.reals(tiles)
        (folder / REAL_GRID).write_bytes(encode_png(self.reals))
        (folder / TRAINING_STATS).touch()

    def save_initial(self) -> None:
        """Saves the network that the training starts from."""
        self._save_snapshot(0.0, "fakes_init")

    def save_tick(self, row: TickRow, is_snapshot: bool) -> None:
        """Writes a row of the statistics and, where one is due, a snapshot with its grid."""
        if is_snapshot:
            quality = self._save_snapshot(row.kimg, f"fakes{_kimg_text(row.kimg, self._trainer.config)}")
            row = replace(row, recall=quality["recall"], distance=quality["distance"])
        self.rows.append(row)
        with (self.folder / TRAINING_STATS).open("a", encoding="utf-8") as stats:
            stats.write(json.dumps(asdict(row)) + "\n")

    def stop_reason(self) -> str:
        """Reason for which the training should end here, a sentence; '' = it should continue."""
        if not self._stop_on_collapse or not self.rows:
            return ""
        return collapse_reason(self.rows, self._trainer.config.ada_kimg)

    def state_dict(self) -> dict[str, Any]:
        """Content of the folder, and the bytes of files that are not uploaded yet."""
        return {
            "rows": [asdict(row) for row in self.rows],
            "snapshots": self._snapshots,
            "waiting": self._uploader.pending() if self._uploader else {},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Fills the folder from the copies."""
        self.rows = [TickRow(**row) for row in state["rows"]]
        lines = "".join(json.dumps(row) + "\n" for row in state["rows"])
        (self.folder / TRAINING_STATS).write_text(lines, encoding="utf-8")
        for snapshot in state["snapshots"]:
            grid, pending = snapshot["grid"], state["waiting"]
            if self._restore(grid, pending):
                self.fakes.append((snapshot["kimg"], decode((self.folder / grid).read_bytes())))
            files = [name for name in snapshot["files"] if self._restore(name, pending)]
            self._snapshots.append({**snapshot, "files": files})

    def close(self) -> None:
        """Waits for the last uploads."""
        if self._uploader:
            self._uploader.close()

    def _save_snapshot(self, kimg: float, grid_name: str) -> dict[str, float | None]:
        """Recall and distance of the thumbnails of the network that it saves."""
        config, G, device = self._trainer.config, self._trainer.G_ema, self._trainer.device
        files = [f"network-snapshot-{_kimg_text(kimg, config)}{suffix}" for suffix in (".safetensors", ".json")]
        save_snapshot(self.folder / files[0], G, kimg)
        pixels, grid = self._grid.fakes(G, device, config.batch_gpu), f"{grid_name}.png"
        (self.folder / grid).write_bytes(encode_png(pixels))
        self.fakes.append((kimg, pixels))
        quality = self._thumbnails.measure(G, device, config.batch_gpu)
        self._snapshots.append({"kimg": kimg, "distance": quality["distance"], "grid": grid, "files": files})
        if self._uploader:
            for name in (*files, grid):
                self._uploader.put(self.folder / name)
        self._remove_worst()
        return quality

    def _remove_worst(self) -> None:
        """Removes the snapshot farthest from the tiles, where there are more than `keep_best`; its grid stays."""
        snapshots = [snapshot for snapshot in self._snapshots if snapshot["files"]]
        if not self._keep_best or len(snapshots) <= self._keep_best:
            return
        worst = max(snapshots, key=lambda snapshot: (snapshot["distance"] is None, snapshot["distance"] or 0.0))
        for name in worst["files"]:
            (self.folder / name).unlink()
            if self._uploader:
                self._uploader.remove(name)
        worst["files"] = []

    def _restore(self, name: str, pending: dict[str, Tensor]) -> bool:
        assert self._uploader, "only a training with checkpoints resumes"
        if name not in pending:
            return self._uploader.get(name, self.folder / name)
        (self.folder / name).write_bytes(pending[name].numpy().tobytes())
        self._uploader.put(self.folder / name)
        return True


class SnapshotUploader:
    """Copies of a training's files in a store, from which a resumed training fills its folder.

    Uploads to a bucket happen in a thread.
    """

    def __init__(self, uri: str) -> None:
        self._store = open_store(uri)
        self._uploads = UploadQueue(uri) if is_bucket(uri) else None
        self._pending: dict[str, Path] = {}

    def put(self, path: Path) -> None:
        """Copies a file under its own name."""
        if self._uploads is None:
            self._store.put(path, path.name)
            return
        self._pending[path.name] = path
        self._uploads.submit(path.name, lambda: self._upload(path))

    def pending(self) -> dict[str, Tensor]:
        """Bytes of the files that are not uploaded yet, by name; they travel in the checkpoint."""
        files = list(self._pending.items())
        return {name: torch.from_numpy(np.fromfile(path, dtype=np.uint8)) for name, path in files}

    def get(self, name: str, path: Path) -> bool:
        """Downloads a copy to a file; returns False, and logs it, where there is none."""
        try:
            self._store.get(name, path)
        except (StoreError, DataError) as error:
            log(f"{error} The training resumes without it.")
            return False
        return True

    def remove(self, name: str) -> None:
        """Removes a copy."""
        self._pending.pop(name, None)
        if self._uploads is None:
            self._store.delete(name)
        else:
            self._uploads.submit(name, lambda: self._store.delete(name))

    def close(self) -> None:
        """Waits for the last uploads, a few seconds at most."""
        if self._uploads and (failure := self._uploads.close(_LAST_UPLOADS_S)):
            log(f"Not all snapshots reached their store ({failure}) Those of a finished training are in its folder.")

    def _upload(self, path: Path) -> None:
        with suppress(FileNotFoundError):  # removed meanwhile
            self._store.put(path, path.name)
        self._pending.pop(path.name, None)


def _kimg_text(kimg: float, config: TrainingConfig) -> str:
    """kimg in a file name: six digits, with three decimals where snapshots do not fall on whole kimg."""
    if float(config.kimg).is_integer() and float(config.snapshot_kimg).is_integer():
        return f"{int(kimg):06d}"
    return f"{kimg:010.3f}"
