"""A whole study, killed with all its processes at random moments and started again: the same report.

Everything that `thygan run` shows is compared, byte by byte but for what `clocks` leaves out. It takes minutes, so only
`make chaos` runs it; CI kills a study once (`tests/pipelines/test_local_run.py`) and every stage on its own.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from chain import KEY
from clocks import timeless
from record import tried

from pipelines.demo import write_study

KILLS = 3
ROOT = Path(__file__).parents[2]
OPTIONS = {
    "tile.tile-px": 32, "tile.resolution": 32, "split.folds": 2, "split.classifier-seeds": 1, "gan.kimg": 0.032,
    "gan.batch": 8, "gan.channel-base": 128, "gan.channel-max": 16, "gan.mapping-layers": 2, "gan.latent-dim": 16,
    "gan.augment": "noaug", "selection.images": 24, "shared.extractor-px": 32, "classifier.input-px": 32,
    "classifier.epochs": 1, "classifier.batch": 32, "umap.max-tiles": 60,
}  # fmt: skip
pytestmark = pytest.mark.skipif(
    int(os.environ.get("THYGAN_CHAOS", "2")) < 3, reason="skipped: it takes minutes; `make chaos` runs it"
)


def started(data, out):
    command = [sys.executable, "-m", "pipelines", "run", "--source", data / "hospital-a"]
    command += ["--external", data / "hospital-b", "--out", out, "--split.arms", "none", "bi100"]
    command += [*(f"--{name}={value}" for name, value in OPTIONS.items()), "--mpp", "*=0.5"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "THYGAN_"))}
    with (out.parent / f"{out.name}.log").open("ab") as log:
        return subprocess.Popen(
            list(map(str, command)), stdout=log, stderr=log, cwd=ROOT, start_new_session=True,
            env={**kept, "THYGAN_STUDY_KEY": KEY},
        )  # fmt: skip


def shown(out):
    files = [*out.iterdir(), *(out / "domain-gap").iterdir()]
    return {file.relative_to(out): timeless(file.name, file.read_bytes()) for file in files if file.is_file()}


def processes_of(group):
    """Those that run; who has ended and is not yet reaped does not."""
    pattern = re.compile(rf"^\S+ \(.*\) [^ZX] \d+ {group} ", re.DOTALL)
    found = []
    for one in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            found += [one] if pattern.match(one.read_text(errors="replace")) else []
    return found


def test_a_study_killed_three_times_ends_with_the_same_report(tmp_path):
    data = tmp_path / "data"
    write_study(data, seed=3, patients=12, images_per_patient=1, size_px=64, external_patients=6)
    began = time.monotonic()
    assert started(data, tmp_path / "undisturbed").wait() == 0
    seconds = time.monotonic() - began
    rng, out = random.Random(0), tmp_path / "killed"
    with tried("study", stage="all", fault=f"the run and its stages killed {KILLS} times", tries=KILLS) as row:
        for _ in range(KILLS):
            run = started(data, out)
            with pytest.raises(subprocess.TimeoutExpired):
                run.wait(rng.uniform(0.1, 0.5) * seconds)
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            until = time.monotonic() + 60
            while processes_of(run.pid):  # a process that holds much takes a moment to die
                assert time.monotonic() < until, "a stage outlived its run"
                time.sleep(0.1)
        assert started(data, out).wait() == 0, (tmp_path / "killed.log").read_text()[-3000:]
        whole, again = shown(tmp_path / "undisturbed"), shown(out)
        assert {"report.html", "report.md", "metrics.json", "external-predictions.csv"} <= set(map(str, whole))
        assert set(again) == set(whole)
        assert not {str(name) for name, data in again.items() if data != whole[name]}
        row["outcome"] = f"the same report ({len(whole)} files, byte by byte but for its times)"
