"""The stage from a shell: python -m components.report --help."""

from components.core.runtime.cli import stage_command
from components.report.stage import run

stage_command(run, "report")
