"""The study: every stage, from two hospitals' images to one verdict per arm.

source ─ tile ─ split ─┬─ each {scheme, fold}: pack ─ gan_train ─ fid_select ─ generate ─ classifier_cv ─┐
                       └─ fold "all": the same chain, once per scheme ─┬─ external_eval ────────────── report
external ─ tile ───────────────────────────────────────────────────────┴─ umap ──────────────────────────┘
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kfp import dsl

from components.artifacts import DomainGap, Predictions
from components.split.component import split
from components.tile.component import tile
from pipelines.study.evaluation import Evaluation, evaluation
from pipelines.study.nested import chosen
from pipelines.study.options import CHAINED, CUTTING, READ, SPLITTING
from pipelines.study.resources import schedule


class Study(NamedTuple):
    page: dsl.HTML
    markdown: dsl.Markdown
    metrics: dsl.Metrics
    external_predictions: Predictions
    gap: DomainGap
    data_card: dsl.HTML
    external_data_card: dsl.HTML


def build_study(given: Mapping[str, Any], evidence: Any) -> Study:
    """A whole study: cut, split, then the loops of a pipeline like `evidence`.

    Args:
        given: The study's parameters.
        evidence: The pipeline.
    """
    cut = tile(
        sources=[given["source"]],
        labels=[given["labels"]],
        sites=[given["site"]],
        study_mpp=given["study_mpp"],
        **CUTTING.of(given),
    ).set_caching_options(False)
    planned = split(manifest=cut.outputs["manifest"], **SPLITTING.of(given))
    outside = tile(
        sources=given["external"],
        labels=given["external_labels"],
        sites=given["external_site"],
        study_mpp=cut.outputs["mpp_of_study"],
        tile_level=given["tile_level"],
        blind=True,
        slide_filter=given["slide_filter"],
        reference=cut.outputs["tiles"],
        plan=planned.outputs["plan"],
        **CUTTING.of(given),
    ).set_caching_options(False)
    outside.set_display_name("tile external")
    schedule(given, cut, planned, outside)
    shown = evidence(
        manifest=cut.outputs["manifest"],
        tiles=cut.outputs["tiles"],
        data_card=cut.outputs["card"],
        tile_metrics=cut.outputs["metrics"],
        external_labels=outside.outputs["manifest"],
        external_tiles=outside.outputs["tiles"],
        external_data_card=outside.outputs["card"],
        external_tile_metrics=outside.outputs["metrics"],
        plan=planned.outputs["plan"],
        study_plan=planned.outputs["study"],
        split_metrics=planned.outputs["metrics"],
        final=planned.outputs["final"],
        cross_validation=planned.outputs["cross_validation"],
        **chosen(given, *CHAINED, *READ),
    )
    return Study(
        **{name: shown.outputs[name] for name in Evaluation._fields},
        data_card=cut.outputs["card"],
        external_data_card=outside.outputs["card"],
    )


@dsl.pipeline(name="thygan-study")
def study(
    source: str = "",
    external: list = [],
    labels: str = "",
    external_labels: list = [],
    site: str = "",
    external_site: list = [],
    mpp: dict = {},
    study_mpp: float = 0.0,
    tile_px: int = 512,
    resolution: int = 0,
    small: dict = {},
    tile_level: list = [],
    patient_pattern: str = "",
    licences: dict = {},
    skip_bad: bool = False,
    slide_tiles: int = 20,
    min_tissue: float = 0.5,
    slide_filter: str = "none",
    data_version: str = "",
    folds: int = 5,
    val_fraction: float = 0.2,
    import_splits: str = "",
    preserve_sites: bool = False,
    arms: list = ["none", "stain-aug", "bi100", "bi100-real"],
    classifier_seeds: int = 3,
    vote: str = "majority",
    threshold: str = "0.5",
    relevant_difference: float = 0.1,
    demonstration: bool = False,
    preset: str = "auto",
    kimg: float = 25000.0,
    gan_batch: int = 0,
    gan_batch_gpu: int = 0,
    gan_memory_gb: float = 0.0,
    channel_base: int = 0,
    channel_max: int = 512,
    mapping_layers: int = 0,
    latent_dim: int = 512,
    gamma: float = 0.0,
    gan_learning_rate: float = 0.0,
    ema_kimg: float = 0.0,
    mirror: bool = True,
    symmetry: str = "",
    balanced: bool = False,
    augment: str = "ada",
    augment_pipe: str = "bgc",
    ada_target: float = 0.6,
    ada_kimg: float = 0.0,
    precision: str = "auto",
    snapshot_kimg: float = 0.0,
    checkpoint_uri: str = "",
    checkpoint_minutes: float = 10.0,
    selection_rule: str = "kid_held_out",
    selection_images: int = 50000,
    screening_images: int = 2000,
    finalists: int = 3,
    feature_cache_uri: str = "",
    extractor: str = "efficientnet_lite0",
    extractor_px: int = 224,
    psi: float = 1.0,
    near_copy_gate: bool = True,
    gan_params: dict = {},
    backbone: str = "efficientnet_lite0",
    pretrained: bool = True,
    input_px: int = 224,
    epochs: int = 500,
    patience: int = 50,
    classifier_batch: int = 64,
    classifier_learning_rate: float = 0.001,
    weight_decay: float = 1e-6,
    stain_method: str = "macenko",
    published: bool = False,
    umap_extractor: str = "efficientnet_lite0",
    umap_neighbors: int = 15,
    umap_max_tiles: int = 2000,
    umap_synthetic_each: int = 0,
    weights_dir: str = "",
    seed: int = 0,
    device: str = "auto",
    allow_leakage: bool = False,
    trust_origin: str = "",
    title: str = "",
    gpu_type: str = "nvidia.com/gpu",
    gpu_count: str = "1",
    train_gpu_count: str = "1",
    train_job: dict = {},
    gpu_node_selector: dict = {},
    gpu_affinity: dict = {},
    gpu_tolerations: list = [],
    cpu_node_selector: dict = {},
    spot_tolerations: list = [],
) -> Study:
    """Do GAN-made tiles make a classifier trained on few patients hold up on another hospital's slides?

    Args:
        source: Folder with the study's own images.
        external: Folders with the images of other hospitals; they are only ever evaluated.
        labels: Labels of the source: StyleGAN dataset.json, Thy-GAN labels with `meta`, or a CSV with the columns file,
            class, patient, diagnosis, and if there are any site and case. Empty = found in the folder.
        external_labels: The same for each external folder, in their order; empty = found in the folders.
        site: Name of the source's site where its labels have none; empty = the folder's name.
        external_site: The same for each external folder, in their order.
        mpp: Micrometres per pixel of each site: {"SITE": "0.62"}, or "unknown", which goes on and is marked.
        study_mpp: Micrometres per pixel that all known sites are resampled to; 0 = those of the source.
        tile_px: Side of the squares cut from the fields, pixels.
        resolution: Side in pixels that tiles are resized to for GAN and classifier alike, a power of two; 0 = tile_px.
        small: What to do with images smaller than a tile, per site or "*": "resize", "pad", "skip" or "refuse".
        tile_level: External sites without patients: tile metrics only, never a vote, a test or a verdict.
        patient_pattern: Regular expression with a group `patient`, matched to file names where labels name no patient.
        licences: Terms under which a site's images may be used, for the data card: {"SITE": "CC-BY-4.0"}.
        skip_bad: Go on without images that cannot be used; they are counted and listed.
        slide_tiles: Tiles of each whole slide, drawn at random from its tissue; 0 = all.
        min_tissue: Least share of tissue in a whole slide's tile, 0..1.
        slide_filter: "none", or "reference-band": of external slides only tiles whose mean and spread are both within
            one standard deviation of the study's training tiles. For results without it beside, run the study again
            with "none" in the same folder: what was trained comes from the cache.
        data_version: Changes when the data behind the folders change, so that nothing stale is taken from the cache.
        folds: Cross-validation folds over patients.
        val_fraction: Share of a fold's other patients that is its inner validation, 0..1.
        import_splits: Folder with Thy-GAN's split files, used in place of new folds.
        preserve_sites: Keep each site whole in the folds: a tested site is learnt from nowhere.
        arms: What is compared; `none` is the baseline. Known: none, stain-aug, stain-norm, bi100, bi200, mc, mc100 and
            the controls bi100-real, bi200-real, mc-real, mc100-real.
        classifier_seeds: Classifiers trained per arm and fold, from different seeds.
        vote: How tiles make a case's class: "majority" or "probability".
        threshold: "0.5", or "youden" on each fold's own validation tiles.
        relevant_difference: Smallest AUROC difference that would matter, 0..1.
        demonstration: Says on every page that the data are no evidence.
        preset: Where the GAN's settings that are left open come from: auto (by resolution), stylegan2, paper256,
            paper512, paper1024, cifar, published.
        kimg: Thousands of real images that the discriminator is shown.
        gan_batch: Images per GAN iteration; 0 = the preset's.
        gan_batch_gpu: Images that a GPU computes at once; 0 = as gan_memory_gb allows, or the preset's.
        gan_memory_gb: GiB of GPU memory that the training may take; 0 = no such limit.
        channel_base: Channels times resolution in the GAN's networks; 0 = the preset's.
        channel_max: Upper bound of channels in the GAN's networks.
        mapping_layers: Layers of the generator's mapping network; 0 = the preset's.
        latent_dim: Size of z and w.
        gamma: R1 weight; 0 = the preset's, in auto 0.0002 resolution² / batch.
        gan_learning_rate: Adam's for generator and discriminator; 0 = the preset's.
        ema_kimg: Half-life of the generator's moving average, thousands of images; 0 = the preset's.
        mirror: Show the GAN every tile mirrored, too.
        symmetry: Orientations in which the GAN is shown tiles: none, mirror or d4 (all eight); empty = as mirror says.
        balanced: Show the GAN all classes equally often, rather than as often as they are in the tiles.
        augment: Of what the GAN's discriminator sees: "ada" (as much as keeps it from learning by heart) or "noaug".
        augment_pipe: Which: blit, geom, color, filter, noise, cutout, bg, bgc, bgcf, bgcfn, bgcfnc, stain.
        ada_target: Sign of the discriminator's real logits that ADA holds, 0..1.
        ada_kimg: Thousands of images in which ADA can raise its probability from 0 to 1; 0 = 500.
        precision: Of the GAN's highest resolutions: fp32, fp16, bf16; auto = fp16 on a GPU, fp32 on a CPU.
        snapshot_kimg: Thousands of images between snapshots; 0 = a fifth of kimg.
        checkpoint_uri: Folder or s3://bucket/prefix from which killed trainings, of GAN and classifiers, go on; empty =
            they begin anew.
        checkpoint_minutes: Between two checkpoints of a training.
        selection_rule: "kid_held_out" (lowest class-mean KID to the held-out patients) or "fid_train".
        selection_images: Generated images per snapshot for its metrics.
        screening_images: Images of every snapshot in a first round by KID, after which only the front-runners are drawn
            in full; 0 = all are.
        finalists: Snapshots that are measured in full at least.
        feature_cache_uri: Folder or s3://bucket/prefix that keeps features, so that a killed selection goes on where it
            was; empty = nothing is kept.
        extractor: Feature network of FID, KID and the near-copy gate: efficientnet_lite0, resnet50, resnet101,
            inception2015, or NAME of a NAME.json in the weights folder or bucket.
        extractor_px: Side that the feature network sees, pixels.
        psi: Truncation, 1 = none.
        near_copy_gate: Drop generated tiles that are nearer to a training tile than held-out ones are.
        gan_params: Arm -> Thy-GAN's file of generation parameters (or its text), in place of the counts that follow
            from the training tiles.
        backbone: Classifier: efficientnet_lite0 or any torchvision classification model.
        pretrained: Start the classifier from ImageNet weights.
        input_px: Side that the classifier sees, pixels.
        epochs: Most epochs of a classifier.
        patience: Epochs without a lower validation loss after which a classifier stops.
        classifier_batch: Tiles per classifier step.
        classifier_learning_rate: Adam's for the classifier.
        weight_decay: Of the classifier.
        stain_method: What the arm stain-norm normalises by: macenko or reinhard.
        published: Train and test the classifiers in Thy-GAN's way where that changes numbers: on a random square of
            each rebuilt field, one prediction a field, batch statistics frozen after the first step of an epoch; and
            set the gains that are told of Thy-GAN beside this study's. With allow_leakage, one generator serves all
            folds, too.
        umap_extractor: Feature network of the UMAP and the domain gap.
        umap_neighbors: Neighbours of the UMAP.
        umap_max_tiles: Most tiles in the UMAP; more are sampled.
        umap_synthetic_each: Synthetic tiles of each class in the UMAP, besides at most umap_max_tiles real ones; 0 = as
            many as of every domain.
        weights_dir: Folder or s3://bucket/prefix with network weights for places without a network.
        seed: Every random draw follows from it.
        device: "auto", "cpu" or "cuda".
        allow_leakage: Go on although a generator saw validation or test patients; every number is marked.
        trust_origin: A statement of where a network comes from that cannot be proven disjoint; it is printed.
        title: Heading of the report.
        gpu_type: Resource that a GPU is asked for by, for example nvidia.com/gpu or nvidia.com/mig-3g.40gb.
        gpu_count: GPUs of each stage that computes on one; "0" = none.
        train_gpu_count: GPUs of a GAN training, on one node; they share each batch.
        train_job: Nodes for each GAN training, as a TrainJob of Kubeflow Trainer v2: {"nodes": "2", "gpus": "8"}, and
            if need be gpu_type, cpu, memory (of a node), runtime and hours. It needs a checkpoint_uri in a bucket; set
            train_gpu_count to "0", the task only waits. Empty = the task's own pod trains.
        gpu_node_selector: Labels of the nodes for stages with a GPU: {"pool": "a100"}.
        gpu_affinity: Kubernetes' NodeAffinity for the same stages, where labels do not say enough.
        gpu_tolerations: Taints of the GPU nodes that these stages bear, beside nvidia.com/gpu.
        cpu_node_selector: Labels of the nodes for the other stages.
        spot_tolerations: Taints of nodes that can be taken away; borne by stages that are short or go on from a
            checkpoint. With a checkpoint_uri that is every stage.
    """
    return build_study(locals(), evaluation)
