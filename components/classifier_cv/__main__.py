"""The stage from a shell: python -m components.classifier_cv --help."""

from components.classifier_cv.options import SHARED, ClassifierOptions
from components.classifier_cv.stage import run
from components.core.runtime.cli import stage_command

stage_command(run, "classifier_cv", ClassifierOptions, SHARED)
