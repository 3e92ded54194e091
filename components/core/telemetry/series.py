"""The table of all Prometheus series, from which docs/metrics.md is generated.

The unit is part of the name, as in Prometheus (`_seconds`, `_bytes`) or in the field (`kimg`: thousands of real images
shown to the discriminator). Served series have the labels COMMON too; pushed ones are grouped by GROUPED.
"""

from dataclasses import dataclass
from typing import Literal

COMMON = ("pipeline", "run", "stage", "scheme", "fold")
GROUPED = ("pipeline", "stage")


@dataclass(frozen=True)
class Series:
    """A series.

    Attributes:
        name: Name in Prometheus.
        unit: Unit of a value; '' = none.
        help: Meaning, one sentence.
        stages: Stages that write it.
        labels: Labels besides COMMON or GROUPED.
        kind: Gauge, or counter with a name that ends in `_total`.
        is_pushed: Whether it is pushed to a Pushgateway at the end instead of being served during the run.
    """

    name: str
    unit: str
    help: str
    stages: tuple[str, ...]
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter"] = "gauge"
    is_pushed: bool = False


_GAN, _SELECT, _CLASSIFY = ("gan_train",), ("fid_select",), ("classifier_cv",)
LONG = (*_GAN, *_SELECT, "generate", *_CLASSIFY)  # stages that run long enough to be scraped
EVERY = ("every stage", "run")

STARTED = Series("thygan_stage_started_timestamp_seconds", "unix s", "When the stage began.", LONG)
ITEMS = Series("thygan_items", "items", "How many there are to do.", LONG[1:], ("unit",))
ITEMS_DONE = Series("thygan_items_done", "items", "How many of them are done.", LONG[1:], ("unit",))
IMAGES_PER_SECOND = Series(
    "thygan_images_per_second", "images/s", "Real images trained on, or images drawn.", (*_GAN, "generate", *_CLASSIFY)
)
MEMORY_PEAK = Series(
    "thygan_memory_peak_bytes", "bytes", "Most memory held so far, of the GPU or of the machine.", _GAN, ("device",)
)

KIMG = Series("thygan_gan_kimg", "kimg", "Real images shown to the discriminator, after each iteration.", _GAN)
KIMG_TARGET = Series("thygan_gan_kimg_target", "kimg", "Where the training ends.", _GAN)
SEC_PER_KIMG = Series("thygan_gan_sec_per_kimg", "s/kimg", "Pace over the last tick, without snapshots.", _GAN)
GAN_LOSS = Series("thygan_gan_loss", "", "Loss of G or D without regularisation, mean of a tick.", _GAN, ("network",))
R1_PENALTY = Series("thygan_gan_r1_penalty", "", "Squared gradient of D's logits by real images, unweighted.", _GAN)
PATH_LENGTH = Series("thygan_gan_path_length", "", "Mean path length of G.", _GAN)
SCORE = Series("thygan_gan_score", "logit", "Mean logit that D gives to real or fake images.", _GAN, ("images",))
AUGMENT_P = Series("thygan_gan_augment_p", "0 to 1", "ADA's p: probability of each augmentation.", _GAN)
R_T = Series("thygan_gan_r_t", "-1 to 1", "ADA's overfitting heuristic r_t: mean sign of D's real logits.", _GAN)
R_T_TARGET = Series("thygan_gan_r_t_target", "-1 to 1", "The r_t that ADA holds.", _GAN)
GRADIENT_NORM = Series(
    "thygan_gan_gradient_norm",
    "",
    "Norm of a phase's gradient, mean of a tick; lost steps as 0.",
    _GAN,
    ("phase",),
)
NONFINITE = Series(
    "thygan_gan_nonfinite_steps_total",
    "steps",
    "Steps whose gradient held NaN or infinity and was repaired.",
    _GAN,
    ("phase",),
    kind="counter",
)
THUMBNAIL_RECALL = Series(
    "thygan_gan_thumbnail_recall", "0 to 1", "Share of the tiles' variety that the last snapshot draws.", _GAN
)
THUMBNAIL_DISTANCE = Series(
    "thygan_gan_thumbnail_distance", "", "Fréchet distance of thumbnails, last snapshot to tiles.", _GAN
)
CHECKPOINT_AGE = Series(
    "thygan_gan_checkpoint_age_seconds", "s", "Since the last checkpoint that reached its store, or the start.", _GAN
)
CHECKPOINT_SECONDS = Series("thygan_gan_checkpoint_write_seconds", "s", "What writing the last one took.", _GAN)

SNAPSHOT_KIMG = Series("thygan_snapshot_kimg", "kimg", "Snapshot that was measured last.", _SELECT)
FID = Series("thygan_fid", "", "FID to the training tiles, of the snapshot measured last.", _SELECT)
FID_LOWEST = Series("thygan_fid_lowest", "", "Lowest FID of the snapshots measured so far.", _SELECT)
KID = Series("thygan_kid", "", "KID of the snapshot measured last, to training or held-out tiles.", _SELECT, ("tiles",))

EPOCH = Series("thygan_classifier_epoch", "epochs", "Last finished epoch.", _CLASSIFY, ("arm", "seed"))
CLASSIFIER_LOSS = Series(
    "thygan_classifier_loss", "", "Mean cross-entropy of an epoch.", _CLASSIFY, ("arm", "seed", "part")
)
VAL_AUROC = Series(
    "thygan_classifier_val_auroc", "0 to 1", "AUROC over inner-validation tiles.", _CLASSIFY, ("arm", "seed")
)

SUCCEEDED = Series("thygan_stage_succeeded", "0 or 1", "Whether its last end was a success.", EVERY, is_pushed=True)
SECONDS = Series("thygan_stage_duration_seconds", "s", "How long it took, to its last end.", EVERY, is_pushed=True)
ENDED = Series("thygan_stage_ended_timestamp_seconds", "unix s", "When it last ended.", EVERY, is_pushed=True)
LAST_SUCCESS = Series(
    "thygan_stage_last_success_timestamp_seconds", "unix s", "When it last succeeded.", EVERY, is_pushed=True
)
BUCKET_BYTES = Series(
    "thygan_bucket_used_bytes", "bytes", "What all objects of a bucket take.", ("usage",), ("bucket",), is_pushed=True
)
BUCKET_CAPACITY = Series(
    "thygan_bucket_capacity_bytes", "bytes", "What a bucket may take.", ("usage",), ("bucket",), is_pushed=True
)

SERIES = tuple(value for value in list(globals().values()) if isinstance(value, Series))
