"""Thy-GAN's protocol: one generator for all folds, which has seen the patients that its classifiers are tested on.

    source ─ tile ─ split ─┬─ fold "all", each scheme: pack ─ gan_train ─ fid_select ─┬─ generate ─ classifier_cv ─┬─ …
                           └─ each {scheme, fold}: that scheme's generator ─ pack ─ generate ─ classifier_cv ──────┘

Every number of the cross-validation is marked as leaked. The external sites meet the study's own chain. The parameters
are the study's; the shared options `published` and `allow_leakage` together ask for this protocol.
"""

from collections.abc import Mapping
from functools import cache, partial
from typing import Any, List, NamedTuple  # noqa: UP035 - KFP reads List[…]

from kfp import dsl

from components.artifacts import Generator, Predictions, Record
from components.kfp_component import component_in
from components.pack.component import pack
from pipelines.study import parameters
from pipelines.study.evaluation import INPUTS, Evaluation, reading_tasks
from pipelines.study.fold import (
    ARTIFACTS,
    CLASSIFYING,
    ITEM,
    classifier_tasks,
    fold_arguments,
    fold_pipeline,
)
from pipelines.study.parameters import parameter_types, parameters_with
from pipelines.study.pipeline import Study, study_outputs
from pipelines.study.resources import schedule
from pipelines.study.tracing import define_pipeline, define_study

NAME = "thygan-published"
HELP = "Thy-GAN's published protocol: one generator for all folds; every number of the cross-validation is leaked."
PARAMETERS = parameters_with({"profile": "published"})  # of the pipeline that is uploaded


class LeakedFold(NamedTuple):
    """What other tasks read of a fold."""

    predictions: Predictions
    record: Record


class LeakedFolds(NamedTuple):
    """The same of all folds."""

    predictions: List[dsl.Artifact]  # noqa: UP006
    fold_records: List[dsl.Artifact]  # noqa: UP006


@component_in("pack")
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

    from components.core.data.file_names import LINEAGE
    from components.core.errors import DataError

    folder = Path(joined.path)
    folder.mkdir(parents=True)
    for generator in generators:
        scheme = json.loads((Path(generator.path) / LINEAGE).read_text(encoding="utf-8"))["scheme"]
        if (folder / scheme).exists():
            raise DataError(f"Two generators have the scheme {scheme}: name each scheme once in the study's arms.")
        shutil.copytree(generator.path, folder / scheme)
        (folder / f"{scheme}.json").write_text(json.dumps(generator.metadata), encoding="utf-8")


@component_in("pack")
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
        raise DataError(
            f"No generator has the scheme {scheme} (joined: {schemes}): check why its training produced none."
        )
    shutil.copytree(folder / scheme, generator.path)
    generator.metadata.update(json.loads((folder / f"{scheme}.json").read_text(encoding="utf-8")))


@cache
def pipeline_of_leaked_fold() -> Any:
    """The classifiers of one fold as a pipeline, which a loop calls for each scheme and fold."""
    types = {"joined": dsl.Input[dsl.Model], **parameter_types(CLASSIFYING)}
    return define_pipeline("leaked-fold", _tasks_of_leaked_fold, ARTIFACTS | ITEM | types, LeakedFold)


def _tasks_of_leaked_fold(inputs: Mapping[str, Any]) -> LeakedFold:
    """Classifiers of one fold, with tiles of the one generator of their scheme."""
    picked = pick_generator(scheme=inputs["scheme"], joined=inputs["joined"])
    packed = pack(tiles=inputs["tiles"], plan=inputs["plan"], fold=inputs["fold"], scheme=inputs["scheme"])
    generated, classified = classifier_tasks(picked.outputs["generator"], packed, inputs)
    schedule(inputs, picked, packed, generated, classified)
    return LeakedFold(classified.outputs["predictions"], classified.outputs["classifier_record"])


def tasks_of_leaked_folds(inputs: Mapping[str, Any], leaked_fold: Any) -> LeakedFolds:
    """The classifiers of all folds.

    Args:
        inputs: Channels of `INPUTS` and `joined`, by name.
        leaked_fold: `pipeline_of_leaked_fold`.
    """
    with dsl.ParallelFor(items=inputs["cross_validation"], name="cross-validation") as item:
        folds = leaked_fold(joined=inputs["joined"], **fold_arguments(inputs, item, CLASSIFYING))
    return LeakedFolds(dsl.Collected(folds.outputs["predictions"]), dsl.Collected(folds.outputs["record"]))


def published_evaluation_tasks(
    inputs: Mapping[str, Any], fold: Any, leaked_fold: Any = None, leaked_folds: Any = None
) -> Evaluation:
    """Generators of all patients first, then the folds that use them.

    Args:
        inputs: Channels of `INPUTS`, by name.
        fold: `fold_pipeline`.
        leaked_fold: `pipeline_of_leaked_fold`, called in a loop of this DAG.
        leaked_folds: In its place, the loop as a pipeline of its own.
    """
    with dsl.ParallelFor(items=inputs["final"], name="all-patients") as item:
        final = fold(**fold_arguments(inputs, item)).set_display_name("fold")
    joined = join_generators(generators=dsl.Collected(final.outputs["generator"]))
    schedule(inputs, joined)
    inputs = {**inputs, "joined": joined.outputs["joined"]}
    if leaked_folds:
        outputs = leaked_folds(**{name: inputs[name] for name in _folds_inputs()}).outputs
        folds = LeakedFolds(outputs["predictions"], outputs["fold_records"])
    else:
        folds = tasks_of_leaked_folds(inputs, leaked_fold)
    return reading_tasks(inputs, final, **folds._asdict())


def _folds_inputs() -> dict[str, Any]:
    types = {"joined": dsl.Input[dsl.Model], "cross_validation": list, **parameter_types(CLASSIFYING)}
    return ARTIFACTS | types


@cache
def local_published() -> Any:
    """The protocol for this machine, with outputs."""
    loop = partial(tasks_of_leaked_folds, leaked_fold=pipeline_of_leaked_fold())
    folds = define_pipeline("leaked-folds", loop, _folds_inputs(), LeakedFolds)
    tasks = partial(published_evaluation_tasks, fold=fold_pipeline(), leaked_folds=folds)
    evaluation = define_pipeline("published-evaluation", tasks, INPUTS, Evaluation)
    return define_study(NAME, lambda inputs: study_outputs(inputs, evaluation), parameters.PARAMETERS, HELP, Study)
