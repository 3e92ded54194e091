"""The stage from a shell: python -m components.tile --help."""

from components.core.runtime.cli import stage_command
from components.tile.options import SHARED, TileOptions
from components.tile.stage import run

stage_command(run, "tile", TileOptions, SHARED)
