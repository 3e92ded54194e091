"""The stage from a shell: python -m components.fid_select --help."""

from components.core.runtime.cli import stage_command
from components.fid_select.options import SHARED, SelectionOptions
from components.fid_select.stage import run

stage_command(run, "fid_select", SelectionOptions, SHARED)
