"""Thy-GAN's protocol: one generator for all folds, which has seen the patients that its classifiers are tested on.

    source ─ tile ─ split ─┬─ fold "all", each scheme: pack ─ gan_train ─ fid_select ─┬─ generate ─ classifier_cv ─┬─ …
                           └─ each {scheme, fold}: that scheme's generator ─ pack ─ generate ─ classifier_cv ──────┘

Every number of the cross-validation is marked as leaked. What meets the external sites is the study's own chain.
The parameters are the study's; `published` and `allow_leakage` together ask for this protocol.
"""

from collections.abc import Mapping
from typing import Any, List, NamedTuple  # noqa: UP035 - KFP reads List[…]

from kfp import dsl

from components.artifacts import Generator, Predictions, SplitPlan, StudyPlan, TileSet
from components.kfp_stage import image
from components.pack.component import pack
from pipelines.chain import chain, generated_and_classified
from pipelines.evidence import Evidence, evidence, read_together
from pipelines.nested import chosen, like, taking
from pipelines.options import CHAINED, CLASSIFICATION, GENERATION
from pipelines.scheduling import POOLS, schedule
from pipelines.study import Study, study, whole


def one_generator(values: Mapping[str, Any]) -> bool:
    """Whether a study's parameters ask for this protocol."""
    return bool(values.get("published") and values.get("allow_leakage"))


LEAKED = {"allow_leakage": True}


class Fold(NamedTuple):
    predictions: Predictions
    metrics: dsl.Metrics


class Folds(NamedTuple):
    predictions: List[dsl.Artifact]  # noqa: UP006
    metrics: List[dsl.Artifact]  # noqa: UP006


@dsl.component(base_image=image("pack"), install_kfp_package=False)
def generator_of(
    scheme: str,
    generators: dsl.Input[List[dsl.Artifact]],  # noqa: UP006
    generator: dsl.Output[Generator],
) -> None:
    """Hands on the generator of a label scheme: KFP's loops cannot choose from what another loop collected.

    Args:
        scheme: "binary" or "diagnosis".
        generators: One per scheme.
        generator: That scheme's.
    """
    import json
    import shutil
    from pathlib import Path

    for one in generators:
        if json.loads((Path(one.path) / "lineage.json").read_text(encoding="utf-8"))["scheme"] == scheme:
            shutil.copytree(one.path, generator.path)
            generator.metadata.update(one.metadata)


@dsl.pipeline(name="leaked-fold")
@taking(GENERATION, CLASSIFICATION, POOLS)
def leaked_fold(
    tiles: dsl.Input[TileSet],
    plan: dsl.Input[SplitPlan],
    study_plan: dsl.Input[StudyPlan],
    generators: dsl.Input[List[dsl.Artifact]],  # noqa: UP006
    scheme: str,
    fold: str,
    arms: list,
    **options: Any,
) -> Fold:
    """Classifiers of one fold, with tiles of the one generator of their scheme.

    A pipeline of its own, because kfp.local does not find a pool's parameter from tasks that lie in a loop themselves.
    """
    given = locals()
    picked = generator_of(scheme=scheme, generators=generators)
    packed = pack(tiles=tiles, plan=plan, fold=fold, scheme=scheme)
    generated, classified = generated_and_classified(picked.outputs["generator"], packed, given, options | LEAKED)
    schedule(options, picked, packed, generated, classified)
    return Fold(classified.outputs["predictions"], classified.outputs["metrics"])


@dsl.pipeline(name="leaked-folds")
@taking(GENERATION, CLASSIFICATION, POOLS)
def leaked_folds(
    tiles: dsl.Input[TileSet],
    plan: dsl.Input[SplitPlan],
    study_plan: dsl.Input[StudyPlan],
    generators: dsl.Input[List[dsl.Artifact]],  # noqa: UP006
    cross_validation: list,
    **options: Any,
) -> Folds:
    """All of them; a loop takes what another collected only as a pipeline's input."""
    shared = {"tiles": tiles, "plan": plan, "study_plan": study_plan, "generators": generators, **options}
    with dsl.ParallelFor(items=cross_validation, name="cross-validation") as item:
        fold = leaked_fold(**shared, scheme=item.scheme, fold=item.fold, arms=item.arms)
    return Folds(dsl.Collected(fold.outputs["predictions"]), dsl.Collected(fold.outputs["metrics"]))


@dsl.pipeline(name="published-evidence")
@like(evidence)
def published_evidence(given: Mapping[str, Any]) -> Evidence:
    """Generators of all patients first, then the folds that use them."""
    shared = {name: given[name] for name in ("tiles", "plan", "study_plan")}
    with dsl.ParallelFor(items=given["final"], name="all-patients") as item:
        every = chain(**shared, **chosen(given, *CHAINED), scheme=item.scheme, fold=item.fold, arms=item.arms)
    folds = leaked_folds(
        **shared,
        **chosen(given, GENERATION, CLASSIFICATION, POOLS),
        generators=dsl.Collected(every.outputs["generator"]),
        cross_validation=given["cross_validation"],
    )
    return read_together(given, every, predictions=folds.outputs["predictions"], fold_metrics=folds.outputs["metrics"])


@dsl.pipeline(name="thygan-published")
@like(study)
def published(given: Mapping[str, Any]) -> Study:
    return whole(given, published_evidence)
