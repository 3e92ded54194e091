"""The map's process, before and after."""

import os
import subprocess
import sys

THREADS = """
import numpy, torch
from components.umap.layouts import project
torch.set_num_threads(3)
assert torch.get_num_threads() == 3  # which is settled when it is first asked for
features = numpy.random.default_rng(0).random((40, 5), numpy.float32)
project(features, features[:2], 2, 5, 0.1, 0)
print(torch.get_num_threads())
"""


def test_pytorch_keeps_its_threads():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", THREADS], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3"
