"""Names that options had before they came in groups, so that a message can give the new one."""

from collections.abc import Iterable
from typing import Any

from components.core.errors import ConfigError

_SAME = {
    "tile": (
        *("study_mpp", "tile_px", "resolution", "small", "patient_pattern", "licences", "skip_bad", "slide_tiles"),
        *("min_tissue", "slide_filter", "data_version"),
    ),
    "split": (
        *("folds", "val_fraction", "import_splits", "preserve_sites", "arms", "classifier_seeds", "vote", "threshold"),
        *("relevant_difference", "demonstration"),
    ),
    "gan": (
        *("preset", "kimg", "channel_base", "channel_max", "mapping_layers", "latent_dim", "gamma", "ema_kimg"),
        *("symmetry", "balanced", "augment", "augment_pipe", "ada_target", "ada_kimg", "precision", "snapshot_kimg"),
        "train_job",
    ),
    "selection": ("screening_images", "finalists"),
    "generation": ("psi", "near_copy_gate", "gan_params"),
    "classifier": ("backbone", "pretrained", "input_px", "epochs", "patience", "weight_decay", "stain_method"),
    "report": ("title",),
    "shared": (
        *("tile_level", "checkpoint_uri", "checkpoint_minutes", "extractor", "extractor_px", "published"),
        *("weights_dir", "device", "allow_leakage", "trust_origin"),
    ),
}
NEW_NAMES = {name: f"{group}.{name}" for group, names in _SAME.items() for name in names} | {
    "gan_batch": "gan.batch",
    "gan_batch_gpu": "gan.batch_gpu",
    "gan_memory_gb": "gan.memory_gb",
    "gan_learning_rate": "gan.learning_rate",
    "mirror": "gan.symmetry",
    "selection_rule": "selection.rule",
    "selection_images": "selection.images",
    "feature_cache_uri": "selection.cache_uri",
    "classifier_batch": "classifier.batch",
    "classifier_learning_rate": "classifier.learning_rate",
    "umap_extractor": "umap.extractor",
    "umap_neighbors": "umap.neighbors",
    "umap_max_tiles": "umap.max_tiles",
    "umap_synthetic_each": "umap.synthetic_each",
}


def refuse_old_keys(values: Iterable[Any], where: str) -> None:
    """Raises ConfigError for a name without its group, as an older YAML file has it.

    Args:
        values: The names at the top of the file.
        where: What the message begins with, for example "Profile first.yaml".
    """
    for name in values:
        if new := NEW_NAMES.get(str(name)):
            group, _, option = new.partition(".")
            raise ConfigError(f"{where}: {name} is now in the group {group}: write `{group}: {{{option}: …}}`.")
