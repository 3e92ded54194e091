"""The stage from a shell: python -m components.gan_train --help."""

from components.core.runtime.cli import stage_command
from components.gan_train.options import SHARED, GanOptions
from components.gan_train.stage import run

stage_command(run, "gan_train", GanOptions, SHARED)
