"""Progress bar and Prometheus series of a running training."""

from components.core.checkpoint.checkpoint_store import CheckpointStore
from components.core.records.gan_train import TickRow
from components.core.runtime.progress import log
from components.core.runtime.progress_bar import ProgressBar
from components.core.telemetry import series
from components.core.telemetry.live import stage_metrics
from components.gan_train.trainer import PHASES, GanTrainer

_GIB = 2**30


class Monitor:
    """Everything that is shown of a running training: the progress bar and the Prometheus series."""

    def __init__(self, name: str, trainer: GanTrainer, store: CheckpointStore | None) -> None:
        self._name, self._trainer = name, trainer
        self._bar = ProgressBar(f"{name}: training", trainer.config.kimg, trainer.images_seen / 1000, "kimg")
        self._prometheus = PrometheusLogger(trainer, store)

    def show(self, kimg: float, row: TickRow | None) -> None:
        """Shows the progress and, at the end of a tick, its statistics."""
        note = None
        if row:
            note = f"{row.sec_per_kimg:.3g} s/kimg, p {row.augment_p:.2f}, {row.memory_gb:.1f} GB"
            if row.lost_steps:
                note += f", non-finite gradients in {row.lost_steps:.0%} of a phase's steps"
        self._bar.show(kimg, note)
        self._prometheus.show(kimg, row)

    def close(self, reason: str) -> None:
        """Ends the bar, and logs the reason for an early end."""
        self._bar.close()
        if reason:
            log(f"{self._name}: the training stopped at {self._trainer.images_seen / 1000:g} kimg. {reason}", "warning")


class PrometheusLogger:
    """Sets the series of one training; only those of rank 0 are scraped."""

    def __init__(self, trainer: GanTrainer, store: CheckpointStore | None) -> None:
        self._metrics, self._store = stage_metrics(), store
        self._device = trainer.device.type
        config = trainer.config
        self._metrics.set(series.KIMG, trainer.images_seen / 1000)
        self._metrics.set(series.KIMG_TARGET, config.kimg)
        self._metrics.set(series.R_T_TARGET, config.ada_target if config.augment == "ada" else None)
        if store:
            self._metrics.set_function(series.CHECKPOINT_AGE, store.age_s)

    def show(self, kimg: float, row: TickRow | None) -> None:
        """Sets the progress and, at the end of a tick, its statistics."""
        self._metrics.set(series.KIMG, kimg)
        if row is None:
            return
        show = self._metrics.set
        show(series.SEC_PER_KIMG, row.sec_per_kimg)
        show(series.IMAGES_PER_SECOND, 1000 / row.sec_per_kimg)
        show(series.GAN_LOSS, row.loss_g, network="G")
        show(series.GAN_LOSS, row.loss_d, network="D")
        show(series.R1_PENALTY, row.r1_penalty)
        show(series.PATH_LENGTH, row.path_length)
        show(series.SCORE, row.score_real, images="real")
        show(series.SCORE, row.score_fake, images="fake")
        show(series.AUGMENT_P, row.augment_p)
        show(series.R_T, row.sign_real)
        show(series.MEMORY_PEAK, row.memory_gb * _GIB, device=self._device)
        show(series.THUMBNAIL_RECALL, row.recall)
        show(series.THUMBNAIL_DISTANCE, row.distance)
        for phase in PHASES:
            show(series.GRADIENT_NORM, getattr(row, f"norm_{phase}"), phase=phase)
            self._metrics.add(series.NONFINITE, getattr(row, f"lost_{phase}"), phase=phase)
        if self._store:
            show(series.CHECKPOINT_SECONDS, self._store.write_s)
