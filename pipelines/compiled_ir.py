"""The study as IR YAML, as people upload it."""

import tempfile
from pathlib import Path

from kfp import compiler

from pipelines.study import study


def study_yaml() -> str:
    """Compiles the study; equal code gives equal text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        compiler.Compiler().compile(study, str(path))
        return path.read_text(encoding="utf-8")
