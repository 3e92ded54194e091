"""What a training shows to whoever watches it from outside."""

from components.core.telemetry import series
from components.core.telemetry.live import stage_metrics
from components.gan_train.checkpoint import Checkpoints
from components.gan_train.trainer import GanTrainer
from components.gan_train.training_loop import PHASES, Row

_GIB = 2**30


class PrometheusLogger:
    """The series of one training; its leader's, the other processes' are seen by nobody."""

    def __init__(self, training: GanTrainer, checkpoints: Checkpoints | None) -> None:
        self._watch, self._checkpoints = stage_metrics(), checkpoints
        self._device = training.device.type
        self._watch.set(series.KIMG, training.images_seen / 1000)
        self._watch.set(series.KIMG_TARGET, training.settings.kimg)
        self._watch.set(series.R_T_TARGET, training.settings.ada_target if training.settings.augment == "ada" else None)
        if checkpoints:
            self._watch.set_function(series.CHECKPOINT_AGE, checkpoints.age_s)

    def show(self, kimg: float, row: Row | None) -> None:
        """Takes how far it is, and a tick's row where one ended."""
        self._watch.set(series.KIMG, kimg)
        if row is None:
            return
        told = self._watch.set
        told(series.SEC_PER_KIMG, row["sec_per_kimg"])
        told(series.IMAGES_PER_SECOND, 1000 / row["sec_per_kimg"])
        told(series.GAN_LOSS, row["loss_g"], network="G")
        told(series.GAN_LOSS, row["loss_d"], network="D")
        told(series.R1_PENALTY, row["r1_penalty"])
        told(series.PATH_LENGTH, row["path_length"])
        told(series.SCORE, row["score_real"], images="real")
        told(series.SCORE, row["score_fake"], images="fake")
        told(series.AUGMENT_P, row["augment_p"])
        told(series.R_T, row["sign_real"])
        told(series.MEMORY_PEAK, row["memory_gb"] * _GIB, device=self._device)
        told(series.THUMBNAIL_RECALL, row["recall"])
        told(series.THUMBNAIL_DISTANCE, row["distance"])
        for phase in PHASES:
            told(series.GRADIENT_NORM, row[f"norm_{phase}"], phase=phase)
            self._watch.add(series.NONFINITE, row[f"lost_{phase}"], phase=phase)
        if self._checkpoints:
            told(series.CHECKPOINT_SECONDS, self._checkpoints.write_s)
