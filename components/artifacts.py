"""The typed artifacts. Titles only, no behaviour: KFP compares titles when a pipeline is compiled, so a SplitPlan
cannot be wired into a TileSet input. What the UI draws (Metrics, ClassificationMetrics, HTML, Markdown) is KFP's own.
"""

from kfp import dsl


class TileSet(dsl.Dataset):
    """Image archive (zip): square tiles of one size with their manifest."""

    schema_title = "system.TileSet"
    schema_version = "1.0.0"


class Manifest(dsl.Dataset):
    """CSV: one row per tile with patient, case, diagnosis, site and label."""

    schema_title = "system.Manifest"
    schema_version = "1.0.0"


class DataCard(dsl.Artifact):
    """JSON: a tile set in numbers: counts, sizes, magnification, licence, stain, sha256."""

    schema_title = "system.DataCard"
    schema_version = "1.0.0"


class SplitPlan(dsl.Artifact):
    """JSON: patients (as identities) of each fold's training, validation and test part."""

    schema_title = "system.SplitPlan"
    schema_version = "1.0.0"


class StudyPlan(dsl.Artifact):
    """JSON: arms, seeds, endpoint and rules, stated before anything is trained."""

    schema_title = "system.StudyPlan"
    schema_version = "1.0.0"


class GanDataset(dsl.Dataset):
    """Image archive (zip) in StyleGAN's form: the training patients of one fold under one label scheme."""

    schema_title = "system.GanDataset"
    schema_version = "1.0.0"


class HeldOut(dsl.Dataset):
    """Image archive (zip): the inner-validation patients of the same fold."""

    schema_title = "system.HeldOut"
    schema_version = "1.0.0"


class GanSnapshots(dsl.Model):
    """Folder: every snapshot of G_ema as safetensors, sample grids, statistics."""

    schema_title = "system.GanSnapshots"
    schema_version = "1.0.0"


class Generator(dsl.Model):
    """Folder: the selected generator with the evidence of its selection."""

    schema_title = "system.Generator"
    schema_version = "1.0.0"


class SyntheticTiles(dsl.Dataset):
    """Image archive (zip): generated tiles, a manifest row each, and the counts of each arm."""

    schema_title = "system.SyntheticTiles"
    schema_version = "1.0.0"


class Classifiers(dsl.Model):
    """Folder: the frozen classifiers of one fold, arm by arm, seed by seed."""

    schema_title = "system.Classifiers"
    schema_version = "1.0.0"


class Predictions(dsl.Dataset):
    """CSV: one row per tile, arm and seed."""

    schema_title = "system.Predictions"
    schema_version = "1.0.0"


class DomainGap(dsl.Dataset):
    """Folder: the domain gap in numbers (CSV), the UMAP's points (JSON) and picture (PNG)."""

    schema_title = "system.DomainGap"
    schema_version = "1.0.0"


class Record(dsl.Artifact):
    """JSON: a stage's record: its results, its tables, and the records of the stages before it."""

    schema_title = "system.Record"
    schema_version = "1.0.0"
