"""The stage from a shell: python -m components.external_eval --help."""

from components.core.runtime.cli import stage_command
from components.external_eval.options import SHARED, EvaluationOptions
from components.external_eval.stage import run

stage_command(run, "external_eval", EvaluationOptions, SHARED)
