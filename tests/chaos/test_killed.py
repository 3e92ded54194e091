"""Killed at any moment, a stage leaves whole outputs or none; the same command again makes what it would have made.

`make chaos` is the long form: THYGAN_CHAOS moments in every stage, SIGTERM and SIGKILL in turn.
"""

import os
import random
import shutil
import signal
import sys
import zlib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from chain import ENVIRONMENT, absent, content
from processes import STAGES, Process, run_to_end
from record import tried

pytest_plugins = ["study"]

MOMENTS = int(os.environ.get("THYGAN_CHAOS", "2"))
IN_A_ROW = 4  # kills before the command may end
SIGNALS = (signal.SIGTERM, signal.SIGKILL)


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_any_moment(stage, study, tmp_path):
    study.upto(stage)
    command, whole = study.commands[stage], content(study.folder / stage, study.commands[stage])
    keeps = {"checkpoint_uri": tmp_path / "kept", "checkpoint_minutes": 0} if stage == "gan_train" else {}
    rng, left = random.Random(zlib.crc32(stage.encode())), MOMENTS
    counts = dict.fromkeys(("tries", "passed", "killed", "too late", "told", "whole"), 0)
    with tried("killed", stage=stage, seconds=round(study.seconds[stage], 2), **counts) as row:
        while left:
            out = tmp_path / f"run{left}"
            words, row_of_kills = command.words(out, **keeps), min(IN_A_ROW, left)
            for number in range(row_of_kills):
                row["tries"] += 1
                sign = SIGNALS[(left - number) % 2]
                process = Process(out, stage, words, **ENVIRONMENT)
                was_running = process.send_after(sign, rng.uniform(0.02, 0.98) * study.seconds[stage])
                code, _, complained = process.result()
                row["killed" if was_running else "too late"] += 1
                if was_running and code:
                    _check_ended(sign, code, complained)
                    row["told"] += bool(complained.strip())
                found = content(out, command)
                torn = {name for name, digest in found.items() if whole.get(name) != digest}
                assert not torn, f"half-written, or another: {torn}"
                row["whole"] += not absent(out, command)
            left -= row_of_kills
            run_to_end(out, stage, words, **ENVIRONMENT)
            assert content(out, command) == whole
            assert not list(out.glob(".*.part")), "left by a kill, and not swept"
            row["passed"] += row_of_kills
            if keeps:  # what was finished would be taken up again
                keeps = {**keeps, "checkpoint_uri": tmp_path / f"kept{left}"}
            shutil.rmtree(out)


def _check_ended(sign: int, code: int, complained: str) -> None:
    """One sentence where there was time for one, and no traceback."""
    lines = complained.strip().splitlines()
    if sign == signal.SIGKILL:
        assert code == -signal.SIGKILL, complained
    elif code != -signal.SIGTERM:  # before its first line of ours ran
        assert code in (143, 1), complained
        assert len(lines) == 1, complained
        assert "SIGTERM" in lines[0]
