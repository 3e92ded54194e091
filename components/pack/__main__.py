"""The stage from a shell: python -m components.pack --help."""

from components.core.runtime.cli import stage_command
from components.pack.stage import run

stage_command(run, "pack")
