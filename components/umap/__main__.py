"""The stage from a shell: python -m components.umap --help."""

from components.core.runtime.cli import stage_command
from components.umap.options import SHARED, UmapOptions
from components.umap.stage import run

stage_command(run, "umap", UmapOptions, SHARED)
