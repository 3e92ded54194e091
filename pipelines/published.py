"""Thy-GAN's protocol: one generator for all folds, which has seen the patients that its classifiers are tested on.

    source ─ tile ─ split ─┬─ fold "all", each scheme: pack ─ gan_train ─ fid_select ─┬─ generate ─ classifier_cv ─┬─ …
                           └─ each {scheme, fold}: that scheme's generator ─ pack ─ generate ─ classifier_cv ──────┘

Every number of the cross-validation is marked as leaked. What meets the external sites is the study's own chain.
The parameters are the study's; `published` and `allow_leakage` together ask for this protocol.
"""

import inspect
from collections.abc import Mapping
from typing import Any, List, NamedTuple  # noqa: UP035 - KFP reads List[…]

from kfp import dsl

from components.artifacts import Generator, Manifest, Predictions, SplitPlan, StudyPlan, TileSet
from components.classifier_cv.component import classifier_cv
from components.generate.component import generate
from components.kfp_stage import image
from components.pack.component import pack
from pipelines.chain import chain
from pipelines.evidence import Evidence, read_together
from pipelines.nested import chosen, taking
from pipelines.options import CHAINED, CLASSIFICATION, GENERATION, READ
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
    picked = generator_of(scheme=scheme, generators=generators)
    packed = pack(tiles=tiles, plan=plan, fold=fold, scheme=scheme)
    generated = generate(
        generator=picked.outputs["generator"],
        dataset=packed.outputs["dataset"],
        held_out=packed.outputs["held_out"],
        plan=plan,
        fold=fold,
        scheme=scheme,
        arms=arms,
        **GENERATION.of(options) | LEAKED,
    )
    classified = classifier_cv(
        tiles=tiles,
        plan=plan,
        study=study_plan,
        synthetic=generated.outputs["synthetic"],
        fold=fold,
        scheme=scheme,
        arms=arms,
        **CLASSIFICATION.of(options) | LEAKED,
    )
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
@taking(*CHAINED, *READ)
def published_evidence(
    manifest: dsl.Input[Manifest],
    tiles: dsl.Input[TileSet],
    data_card: dsl.Input[dsl.HTML],
    tile_metrics: dsl.Input[dsl.Metrics],
    external_labels: dsl.Input[Manifest],
    external_tiles: dsl.Input[TileSet],
    external_data_card: dsl.Input[dsl.HTML],
    external_tile_metrics: dsl.Input[dsl.Metrics],
    plan: dsl.Input[SplitPlan],
    study_plan: dsl.Input[StudyPlan],
    split_metrics: dsl.Input[dsl.Metrics],
    final: list,
    cross_validation: list,
    **options: Any,
) -> Evidence:
    """Generators of all patients first, then the folds that use them."""
    given = locals()
    shared = {"tiles": tiles, "plan": plan, "study_plan": study_plan}
    with dsl.ParallelFor(items=final, name="all-patients") as item:
        every = chain(**shared, **chosen(options, *CHAINED), scheme=item.scheme, fold=item.fold, arms=item.arms)
    folds = leaked_folds(
        **shared,
        **chosen(options, GENERATION, CLASSIFICATION, POOLS),
        generators=dsl.Collected(every.outputs["generator"]),
        cross_validation=cross_validation,
    )
    return read_together(given, every, predictions=folds.outputs["predictions"], fold_metrics=folds.outputs["metrics"])


def _published(*several: Any) -> Study:
    return whole(dict(zip(_SIGNATURE.parameters, several, strict=True)), published_evidence)


_SIGNATURE = inspect.signature(study.pipeline_func)
_published.__signature__ = _SIGNATURE  # type: ignore[attr-defined]
_published.__doc__ = study.pipeline_func.__doc__
published = dsl.pipeline(name="thygan-published")(_published)
