"""The stage from a shell: python -m components.split --help."""

from components.core.runtime.cli import stage_command
from components.split.options import SHARED, SplitOptions
from components.split.stage import run

stage_command(run, "split", SplitOptions, SHARED)
