"""The smallest study that runs every stage, as options of `thygan run`."""

SETTINGS = {
    "tile.tile-px": 64, "tile.resolution": 16, "split.folds": 2, "split.classifier-seeds": 1, "gan.kimg": 0.032,
    "gan.batch": 8, "gan.channel-base": 256, "gan.channel-max": 16, "gan.latent-dim": 16, "selection.images": 24,
    "shared.extractor-px": 32, "classifier.input-px": 32, "classifier.epochs": 1, "classifier.batch": 32,
}  # fmt: skip
SCALES = ["--mpp", "hospital-a=0.5", "hospital-b=0.5"]


def small_options(umap_max_tiles):
    settings = {**SETTINGS, "umap.max-tiles": umap_max_tiles}
    return [*(f"--{name}={value}" for name, value in settings.items()), *SCALES]
