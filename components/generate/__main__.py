"""The stage from a shell: python -m components.generate --help."""

from components.core.runtime.cli import stage_command
from components.generate.options import SHARED, GenerationOptions
from components.generate.stage import run

stage_command(run, "generate", GenerationOptions, SHARED)
