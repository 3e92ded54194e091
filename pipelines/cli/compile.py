"""`thygan compile`: files in git that are generated from the code."""

from pathlib import Path

from components.core.io.atomic_files import write_json, write_text
from components.core.options.profiles import PROFILES
from components.core.runtime.progress import log


def compile_study(out: Path = Path("pipelines/compiled"), *, schema: Path = PROFILES / "schema.json") -> None:
    """Writes the IR that is uploaded in the KFP UI, and the JSON schema of profiles.

    Args:
        out: Folder for study.yaml, and for published.yaml: Thy-GAN's protocol, one generator for all folds.
        schema: File for the JSON schema, from which editors complete and check profiles.
    """
    from components.groups import groups_schema
    from pipelines.study.compile import executor_tasks, published_yaml, study_yaml

    target = out / "study.yaml"
    write_text(target, study_yaml())
    write_text(out / "published.yaml", published_yaml())
    write_json(schema, groups_schema())
    tasks = [sum(executor_tasks(arms, 5).values()) for arms in (["bi100"], ["bi100", "mc100"])]
    log(f"compiled: {target}; a run with five folds has {tasks[0]} tasks, with generators of both schemes {tasks[1]}")
    log(f"schema of profiles: {schema}")
