"""The stage from a shell: python -m components.report --help."""

from components.core.runtime.cli import stage_command
from components.report.options import SHARED, ReportOptions
from components.report.stage import run

stage_command(run, "report", ReportOptions, SHARED)
