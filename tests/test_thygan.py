"""The public package: what it costs to import, and that its functions are the command's."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import thygan
from components.core.errors import ConfigError
from components.core.stylegan2 import Generator
from components.core.stylegan2.snapshot import save_snapshot

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "kfp", "kubernetes", "pandas", "numpy", "scipy")


def test_importing_it_loads_nothing_heavy():
    code = f"import sys, thygan; print([one for one in {HEAVY!r} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def write_predictions(path: Path, shift: float) -> Path:
    rows = [
        {"patient": f"p{case}", "class": case % 2, "pred_class": int(score > 0.5), "prob_positive": score}
        for case in range(12)
        for score in [min(0.99, 0.2 + 0.3 * (case % 2) + shift * (case % 2) + 0.02 * case)]
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_score_is_what_the_command_prints(tmp_path):
    none, better = write_predictions(tmp_path / "a.csv", 0.0), write_predictions(tmp_path / "b.csv", 0.3)
    scored = thygan.score({"none": [none], "bi100": [better]}, resamples=200)
    command = ["score", f"none={none}", f"bi100={better}", "--resamples", "200", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", *command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(json.dumps(scored)) == json.loads(done.stdout)


def test_a_generator_draws_what_was_saved(tmp_path):
    torch.manual_seed(0)
    network = Generator(16, 2, 16, 16, channel_base=256, channel_max=16, mapping_layers=2).eval()
    save_snapshot(tmp_path / "network-snapshot-000004.safetensors", network, 4)
    generator = thygan.load_generator(tmp_path / "network-snapshot-000004.safetensors")
    z, c = torch.randn(2, 16), torch.eye(2)
    assert torch.equal(generator(z, c, noise_mode="const"), network(z, c, noise_mode="const"))


def test_a_study_with_a_wrong_option_ends_before_anything_starts(tmp_path):
    with pytest.raises(ConfigError, match=r"gan has no option 'kimgs'; did you mean 'kimg'\?"):
        thygan.run_study(tmp_path / "out", profile="demo", gan={"kimgs": 5})
    assert not (tmp_path / "out").exists()
