"""The stage as a KFP component."""

from typing import NamedTuple

from kfp import dsl

from components.artifacts import Manifest, SplitPlan, StudyPlan
from components.kfp_stage import stage_component


@stage_component
def split(
    manifest: dsl.Input[Manifest],
    plan: dsl.Output[SplitPlan],
    study: dsl.Output[StudyPlan],
    metrics: dsl.Output[dsl.Metrics],
    folds: int = 5,
    val_fraction: float = 0.2,
    seed: int = 0,
    import_splits: str = "",
    preserve_sites: bool = False,
    arms: list = ["none", "stain-aug", "bi100", "bi100-real"],
    classifier_seeds: int = 3,
    vote: str = "majority",
    threshold: str = "0.5",
    relevant_difference: float = 0.1,
    external_sites: list = [],
    tile_level: list = [],
    demonstration: bool = False,
) -> NamedTuple("Items", [("final", list), ("cross_validation", list)]):
    from collections import namedtuple

    from components.kfp_stage import publish
    from components.split.stage import run

    final, cross_validation = run(
        manifest=manifest.path,
        plan=plan.path,
        study=study.path,
        metrics=metrics.path,
        folds=folds,
        val_fraction=val_fraction,
        seed=seed,
        import_splits=import_splits,
        preserve_sites=preserve_sites,
        arms=arms,
        classifier_seeds=classifier_seeds,
        vote=vote,
        threshold=threshold,
        relevant_difference=relevant_difference,
        external_sites=external_sites,
        tile_level=tile_level,
        demonstration=demonstration,
    )
    publish(metrics, plan, study)
    return namedtuple("Items", ["final", "cross_validation"])(final, cross_validation)
