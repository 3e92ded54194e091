"""Names of the files in artifacts, for every file that more than one module writes or reads.

A name is an entry of an image archive, or a file in the folder of an artifact; the two never differ.
"""

MANIFEST = "manifest.csv"  # archive: one row per tile
DATASET = "dataset.json"  # archive: labels in StyleGAN's form
CLASSES = "classes.json"  # archive, generator: index, name and tiles of each class
LINEAGE = "lineage.json"  # archive, generator: the patients it was made from
RECORDS = "records.json"  # every artifact: the records of the stages before it
ARM_COUNTS = "arms.json"  # synthetic archive: tiles per class that each arm takes from it
CARD = "card.json"  # generator, synthetic archive: what a page says about it
STUDY_KEY_ID = "key.json"  # archive of tiles: id of the study key that identities were made with
GENERATOR = "generator.safetensors"  # generator: the weights of G_ema
SELECTION = "selection.json"  # generator: every candidate snapshot and its metrics
CLASSIFIERS = "classifiers.json"  # classifiers: architecture, threshold and weights file of each
DOMAIN_GAP = "domain_gap.csv"  # gap: distances between sites
UMAP_POINTS = "umap.json"  # gap: the points of the map
TRAINING_STATS = "stats.jsonl"  # snapshots: one JSON object per tick
REAL_GRID = "reals.png"  # snapshots: a grid of real tiles
TRAINING_CONFIG = "settings.json"  # snapshots: the configuration that was trained with
