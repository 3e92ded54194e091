"""Records of the tasks behind a fold: the chain that ends in its classifiers."""

from collections.abc import Sequence
from dataclasses import dataclass

from components.core.errors import DataError
from components.core.io.atomic_files import read_json
from components.core.protocol.split_plan import ALL
from components.core.records.classifier_cv import ClassifierRecord
from components.core.records.fid_select import SelectionRecord
from components.core.records.gan_train import GanRecord
from components.core.records.generate import GenerationRecord
from components.core.records.stage_record import find_record, read_record


@dataclass(frozen=True)
class TaskInfo:
    """What every record says of its task.

    Attributes:
        stage: Name of the stage.
        seconds: Duration, seconds.
        scheme: Label scheme; '' = none.
        fold: Fold; '' = none.
    """

    stage: str
    seconds: float
    scheme: str = ""
    fold: str = ""


@dataclass(frozen=True)
class FoldRecords:
    """The records of one scheme and fold.

    Attributes:
        scheme: Label scheme.
        fold: Fold of the plan.
        classifier: Record of classifier_cv.
        gan: Record of gan_train; None, here and below = no generator.
        selection: Record of fid_select.
        generation: Record of generate.
        generator_fold: Fold that the generator was trained on; '' = no generator.
        tasks: Every task of the chain.
    """

    scheme: str
    fold: str
    classifier: ClassifierRecord
    gan: GanRecord | None
    selection: SelectionRecord | None
    generation: GenerationRecord | None
    generator_fold: str
    tasks: list[TaskInfo]

    @property
    def has_own_generator(self) -> bool:
        """Whether a generator was trained for this fold; one may serve several folds."""
        return self.selection is not None and self.generator_fold == self.fold


def read_folds(paths: Sequence[str]) -> list[FoldRecords]:
    """The records of all folds, in order with `all` last, binary before diagnosis.

    Args:
        paths: Records (JSON) of classifier_cv.
    """
    return sorted(map(read_fold, paths), key=lambda records: (records.fold == ALL, records.fold, records.scheme))


def read_fold(path: str) -> FoldRecords:
    """The records of one scheme and fold, from that of its last stage."""
    last = read_json(path)
    chain = [*last.get("upstream", []), last]
    classifier = find_record(ClassifierRecord, "classifier_cv", chain)
    if classifier is None:
        raise DataError(f"{path} is not a record of classifier_cv: give the records that classifier_cv wrote.")
    tasks = [read_record(TaskInfo, raw) for raw in chain]
    return FoldRecords(
        scheme=tasks[-1].scheme,
        fold=tasks[-1].fold,
        classifier=classifier,
        gan=find_record(GanRecord, "gan_train", chain),
        selection=find_record(SelectionRecord, "fid_select", chain),
        generation=find_record(GenerationRecord, "generate", chain),
        generator_fold=next((task.fold for task in reversed(tasks) if task.stage == "fid_select"), ""),
        tasks=tasks,
    )


def network_name(name: str, input_px: int) -> str:
    """A network with its input size: features of other sizes are other measures."""
    return f"{name} at {input_px} px" if input_px else name
