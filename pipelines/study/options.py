"""Which parameters of the study are which of a stage."""

from components.classifier_cv.component import classifier_cv
from components.external_eval.component import external_eval
from components.fid_select.component import fid_select
from components.gan_train.component import gan_train
from components.generate.component import generate
from components.report.component import report
from components.split.component import split
from components.tile.component import tile
from components.umap.component import umap
from pipelines.study.nested import StageOptions
from pipelines.study.resources import POOLS

EVERYWHERE = ("seed", "device")
NETWORKS = ("extractor", "extractor_px", "weights_dir")
LEAKAGE = ("allow_leakage", "trust_origin")

CUTTING = StageOptions(
    tile,
    "mpp",
    "tile_px",
    "resolution",
    "small",
    "patient_pattern",
    "licences",
    "skip_bad",
    "slide_tiles",
    "min_tissue",
    "seed",
    "data_version",
)
SPLITTING = StageOptions(
    split,
    "folds",
    "val_fraction",
    "import_splits",
    "preserve_sites",
    "arms",
    "classifier_seeds",
    "vote",
    "threshold",
    "relevant_difference",
    "tile_level",
    "demonstration",
    "seed",
)
TRAINING = StageOptions(
    gan_train,
    "preset",
    "kimg",
    "channel_base",
    "channel_max",
    "mapping_layers",
    "latent_dim",
    "gamma",
    "ema_kimg",
    "mirror",
    "symmetry",
    "balanced",
    "augment",
    "augment_pipe",
    "ada_target",
    "ada_kimg",
    "precision",
    "snapshot_kimg",
    "checkpoint_uri",
    "checkpoint_minutes",
    "train_job",
    *EVERYWHERE,
    batch="gan_batch",
    batch_gpu="gan_batch_gpu",
    memory_gb="gan_memory_gb",
    learning_rate="gan_learning_rate",
)
SELECTION = StageOptions(
    fid_select,
    "screening_images",
    "finalists",
    *NETWORKS,
    *EVERYWHERE,
    rule="selection_rule",
    images="selection_images",
    cache_uri="feature_cache_uri",
)
GENERATION = StageOptions(generate, "psi", "near_copy_gate", "gan_params", *NETWORKS, *LEAKAGE, *EVERYWHERE)
CLASSIFICATION = StageOptions(
    classifier_cv,
    "backbone",
    "pretrained",
    "weights_dir",
    "input_px",
    "epochs",
    "patience",
    "weight_decay",
    "stain_method",
    "published",
    "checkpoint_uri",
    "checkpoint_minutes",
    *LEAKAGE,
    *EVERYWHERE,
    batch="classifier_batch",
    learning_rate="classifier_learning_rate",
)
EVALUATION = StageOptions(external_eval, "device")
MAPPING = StageOptions(
    umap,
    "extractor_px",
    "weights_dir",
    *EVERYWHERE,
    extractor="umap_extractor",
    neighbors="umap_neighbors",
    max_tiles="umap_max_tiles",
    synthetic_each="umap_synthetic_each",
)
TELLING = StageOptions(report, "title", "published")
CHAINED = (TRAINING, SELECTION, GENERATION, CLASSIFICATION, POOLS)
READ = (EVALUATION, MAPPING, TELLING)
