"""Provenance: arms, weights, seeds, versions and digests; and how long each stage took."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from markupsafe import Markup

from components.core.html.number_format import duration, significant
from components.core.html.table import Cell
from components.core.protocol.split_plan import ALL
from components.core.protocol.study_plan import generator_arm, is_control
from components.report.inputs import ReportInputs
from components.report.labels import arm_description
from components.report.task_records import FoldRecords, network_name

STAGES = (
    "tile",
    "split",
    "pack",
    "gan_train",
    "fid_select",
    "generate",
    "classifier_cv",
    "external_eval",
    "umap",
)
_PACKAGES = ("thygan", "numpy", "pandas", "scipy", "scikit-learn", "statsmodels", "plotly")
_BAR_PX = 260  # of the longest stage

# use, network, sha256, whether its weights are trained
_NetworkWeights = tuple[str, str, str, bool]


def provenance_section(inputs: ReportInputs) -> dict[str, Any]:
    """Tables for the template."""
    untrained = Markup('<span class="mark">UNTRAINED</span>')
    return {
        "weights": [
            [use, name, "trained" if is_trained else untrained, Markup("<code>{}</code>").format(sha256 or "–")]
            for use, name, sha256, is_trained in _weights(inputs)
        ],
        "generators": [_generator(records) for records in inputs.folds if records.has_own_generator],
        "classifiers": [row for records in inputs.folds for row in _classifiers(records)],
        "arms": [[arm, arm_description(arm), _describe_additions(inputs, arm) or "–"] for arm in inputs.study.arms],
        "plan_digest": inputs.plan.digest,
        "study_digest": inputs.study.digest,
        "key_id": inputs.plan.key_id,
        "versions": _versions(),
    }


def times_section(inputs: ReportInputs) -> list[list[Any]]:
    """Seconds per stage, all its tasks together and the longest of them."""
    seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for task in inputs.single_tasks:
        seconds[task.stage].append(task.seconds)
    single = {task.stage for task in inputs.single_tasks}
    for records in inputs.folds:
        for task in records.tasks:
            if task.stage in STAGES and task.stage not in single and task.fold == records.fold:
                seconds[task.stage].append(task.seconds)
    most = max((sum(times) for times in seconds.values()), default=0) or 1
    return [
        [stage, Cell(str(len(times))), Cell(duration(sum(times))), Cell(duration(max(times))), _bar(sum(times) / most)]
        for stage, times in seconds.items()
        if times
    ]


def list_untrained_networks(inputs: ReportInputs) -> list[str]:
    """Networks of this study that started from random weights where trained ones are usual."""
    return sorted({name for _, name, _, is_trained in _weights(inputs) if not is_trained})


def _weights(inputs: ReportInputs) -> list[_NetworkWeights]:
    """Each pretrained network of the study, once."""
    used: list[_NetworkWeights] = []
    for records in inputs.folds:
        if selection := records.selection:
            name = network_name(selection.extractor, selection.extractor_px)
            used.append(("FID and KID", name, selection.extractor_sha256, selection.extractor_trained))
    for records in inputs.folds:
        classifier = records.classifier
        name = network_name(classifier.backbone, classifier.input_px)
        used.append(("classifier backbone", name, classifier.weights_sha256, classifier.backbone_trained))
    umap = inputs.umap
    name = network_name(umap.extractor, umap.extractor_px)
    used.append(("UMAP and domain gap", name, umap.extractor_sha256, umap.extractor_trained))
    return list(dict.fromkeys(used))


def _generator(records: FoldRecords) -> list[Any]:
    gan = records.gan

    def number(name: str, digits: int = 3) -> Cell:
        return Cell(significant(getattr(gan, name, None), digits))

    return [
        records.scheme,
        records.fold,
        number("seed"),
        number("kimg", 6),
        number("resolution", 6),
        number("batch", 6),
        number("gamma"),
        number("learning_rate"),
        number("sec_per_kimg"),
        (gan.device if gan else "") or "–",
    ]


def _classifiers(records: FoldRecords) -> list[list[Any]]:
    return [
        [
            Cell(row.arm, marks=[row.mark] if row.mark else [], is_number=False),
            records.fold,
            *(Cell(str(count)) for count in (row.seed, row.real_tiles, row.added_tiles, row.epochs, row.best_epoch)),
            Cell(significant(row.val_auroc)),
            Cell(significant(row.threshold)),
        ]
        for row in records.classifier.arms
    ]


def _describe_additions(inputs: ReportInputs, arm: str) -> str:
    """Generated tiles that the final classifiers of an arm are trained with, by class."""
    rows = [
        row
        for records in inputs.folds
        if records.fold == ALL and records.generation
        for row in records.generation.arms
        if row.arm == generator_arm(arm)
    ]
    text = ", ".join(f"{row.name} +{row.added}" for row in rows)
    return f"{text}, re-drawn" if rows and is_control(arm) else text


def _bar(share: float) -> Markup:
    return Markup('<span class="bar" style="width: {}px"></span>').format(f"{_BAR_PX * share:.1f}")


def _versions() -> Sequence[str]:
    versions = [f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return versions
