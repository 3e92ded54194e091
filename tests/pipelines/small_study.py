"""The smallest study that runs every stage, as options of `thygan run`."""

SETTINGS = {
    "tile-px": 64, "resolution": 16, "folds": 2, "classifier-seeds": 1, "kimg": 0.032, "gan-batch": 8,
    "channel-base": 256, "channel-max": 16, "latent-dim": 16, "selection-images": 24, "extractor-px": 32,
    "input-px": 32, "epochs": 1, "classifier-batch": 32,
}  # fmt: skip
SCALES = ["--mpp", "hospital-a=0.5", "hospital-b=0.5"]


def small_options(umap_max_tiles):
    settings = {**SETTINGS, "umap-max-tiles": umap_max_tiles}
    return [*(f"--{name}={value}" for name, value in settings.items()), *SCALES]
