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
from components.kfp_component import image
from components.pack.component import pack
from pipelines.study.evaluation import Evaluation, evaluate, evaluation
from pipelines.study.fold import fold_chain, generate_and_classify
from pipelines.study.nested import chosen, like, taking
from pipelines.study.options import CHAINED, CLASSIFICATION, GENERATION
from pipelines.study.pipeline import Study, build_study, study
from pipelines.study.resources import POOLS, schedule


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
def join_generators(
    generators: dsl.Input[List[dsl.Artifact]],  # noqa: UP006
    joined: dsl.Output[dsl.Model],
) -> None:
    """Joins the generators of all label schemes: as a nested pipeline's input, a list would lose all but its first.

    Args:
        generators: One generator per scheme.
        joined: Folder with each generator under its scheme, and its metadata as SCHEME.json.
    """
    import json
    import shutil
    from pathlib import Path

    from components.core.errors import DataError

    folder = Path(joined.path)
    folder.mkdir(parents=True)
    for generator in generators:
        scheme = json.loads((Path(generator.path) / "lineage.json").read_text(encoding="utf-8"))["scheme"]
        if (folder / scheme).exists():
            raise DataError(f"Two generators have the scheme {scheme}: name each scheme once in the study's arms.")
        shutil.copytree(generator.path, folder / scheme)
        (folder / f"{scheme}.json").write_text(json.dumps(generator.metadata), encoding="utf-8")


@dsl.component(base_image=image("pack"), install_kfp_package=False)
def pick_generator(scheme: str, joined: dsl.Input[dsl.Model], generator: dsl.Output[Generator]) -> None:
    """Picks the generator of a label scheme.

    Args:
        scheme: "binary" or "diagnosis".
        joined: Folder with each generator under its scheme.
        generator: The scheme's generator.
    """
    import json
    import shutil
    from pathlib import Path

    from components.core.errors import DataError

    folder = Path(joined.path)
    if not (folder / scheme).is_dir():
        schemes = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir())) or "none"
        raise DataError(f"No generator has the scheme {scheme} (joined: {schemes}): look why its training left none.")
    shutil.copytree(folder / scheme, generator.path)
    generator.metadata.update(json.loads((folder / f"{scheme}.json").read_text(encoding="utf-8")))


@dsl.pipeline(name="leaked-fold")
@taking(GENERATION, CLASSIFICATION, POOLS)
def leaked_fold(
    tiles: dsl.Input[TileSet],
    plan: dsl.Input[SplitPlan],
    study_plan: dsl.Input[StudyPlan],
    generators: dsl.Input[dsl.Model],
    scheme: str,
    fold: str,
    arms: list,
    **options: Any,
) -> Fold:
    """Classifiers of one fold, with tiles of the one generator of their scheme.

    A pipeline of its own, because kfp.local does not find a pool's parameter from tasks that lie in a loop themselves.
    """
    given = locals()
    picked = pick_generator(scheme=scheme, joined=generators)
    packed = pack(tiles=tiles, plan=plan, fold=fold, scheme=scheme)
    generated, classified = generate_and_classify(picked.outputs["generator"], packed, given, options | LEAKED)
    schedule(options, picked, packed, generated, classified)
    return Fold(classified.outputs["predictions"], classified.outputs["metrics"])


@dsl.pipeline(name="leaked-folds")
@taking(GENERATION, CLASSIFICATION, POOLS)
def leaked_folds(
    tiles: dsl.Input[TileSet],
    plan: dsl.Input[SplitPlan],
    study_plan: dsl.Input[StudyPlan],
    generators: dsl.Input[dsl.Model],
    cross_validation: list,
    **options: Any,
) -> Folds:
    """All of them."""
    shared = {"tiles": tiles, "plan": plan, "study_plan": study_plan, "generators": generators, **options}
    with dsl.ParallelFor(items=cross_validation, name="cross-validation") as item:
        fold = leaked_fold(**shared, scheme=item.scheme, fold=item.fold, arms=item.arms)
    return Folds(dsl.Collected(fold.outputs["predictions"]), dsl.Collected(fold.outputs["metrics"]))


@dsl.pipeline(name="published-evidence")
@like(evaluation)
def published_evidence(given: Mapping[str, Any]) -> Evaluation:
    """Generators of all patients first, then the folds that use them."""
    shared = {name: given[name] for name in ("tiles", "plan", "study_plan")}
    with dsl.ParallelFor(items=given["final"], name="all-patients") as item:
        every = fold_chain(**shared, **chosen(given, *CHAINED), scheme=item.scheme, fold=item.fold, arms=item.arms)
    joined = join_generators(generators=dsl.Collected(every.outputs["generator"]))
    schedule(given, joined)
    folds = leaked_folds(
        **shared,
        **chosen(given, GENERATION, CLASSIFICATION, POOLS),
        generators=joined.outputs["joined"],
        cross_validation=given["cross_validation"],
    )
    return evaluate(given, every, predictions=folds.outputs["predictions"], fold_metrics=folds.outputs["metrics"])


@dsl.pipeline(name="thygan-published")
@like(study)
def published(given: Mapping[str, Any]) -> Study:
    return build_study(given, published_evidence)
