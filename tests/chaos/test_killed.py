"""Killed at any moment, a stage leaves whole outputs or none; the same command again makes what it would have made.

`make chaos` is the long form: THYGAN_CHAOS moments in every stage, SIGTERM and SIGKILL in turn.
"""

import os
import random
import signal
import sys
import zlib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from chain import ENVIRONMENT, absent, content
from processes import STAGES, Process, run_to_end
from record import record

pytest_plugins = ["study"]

MOMENTS = int(os.environ.get("THYGAN_CHAOS", "2"))
IN_A_ROW = 4  # kills before the command may end
SIGNALS = (signal.SIGTERM, signal.SIGKILL)


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_any_moment(stage, study, tmp_path):
    study.upto(stage)
    command, whole = study.commands[stage], content(study.folder / stage, study.commands[stage])
    keeps = {"checkpoint_uri": tmp_path / "kept", "checkpoint_minutes": 0} if stage == "gan_train" else {}
    rng = random.Random(zlib.crc32(stage.encode()))
    counts = {"killed": 0, "too late": 0, "told": 0, "whole": 0}
    left = MOMENTS
    while left:
        out = tmp_path / f"run{left}"
        words = command.words(out, **keeps)
        for number in range(min(IN_A_ROW, left)):
            sign = SIGNALS[(left - number) % 2]
            process = Process(out, stage, words, **ENVIRONMENT)
            was_running = process.send_after(sign, rng.uniform(0.02, 0.98) * study.seconds[stage])
            code, _, complained = process.result()
            counts["killed" if was_running else "too late"] += 1
            if was_running and code:
                _check_ended(sign, code, complained)
                counts["told"] += bool(complained.strip())
            found = content(out, command)
            torn = {name for name, digest in found.items() if whole.get(name) != digest}
            assert not torn, f"half-written, or another: {torn}"
            if not absent(out, command):
                counts["whole"] += 1
        left -= min(IN_A_ROW, left)
        run_to_end(out, stage, words, **ENVIRONMENT)
        assert content(out, command) == whole
        if keeps:  # what was finished would be taken up again
            keeps = {**keeps, "checkpoint_uri": tmp_path / f"kept{left}"}
    record("killed", stage=stage, moments=MOMENTS, seconds=round(study.seconds[stage], 2), **counts)


def _check_ended(sign: int, code: int, complained: str) -> None:
    """One sentence where there was time for one, and no traceback."""
    lines = complained.strip().splitlines()
    if sign == signal.SIGKILL:
        assert code == -signal.SIGKILL, complained
    elif code != -signal.SIGTERM:  # before its first line of ours ran
        assert code in (143, 1), complained
        assert len(lines) == 1, complained
        assert "old to end" in lines[0]
