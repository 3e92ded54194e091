"""Whatever is done to a file, reading it gives what was written or one sentence: no crash, no hang, no flood of memory.

`make fuzz` is the long form: THYGAN_FUZZ inputs of every format.
"""

import faulthandler
import os
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from components.core.errors import ThyganError
from components.tile.images import UnusableImageError

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "chaos"))
from formats import make_formats
from record import tried

INPUTS = int(os.environ.get("THYGAN_FUZZ", "40"))
ROOM_BYTES, LONGEST_S = 768 << 20, 10
PHASES = [Phase.generate, Phase.shrink] if INPUTS <= 100 else [Phase.generate]  # shrinking takes minutes
NAMES = [
    "image archive", "entry of an image archive", "zip of images", "labels (JSON)", "labels (CSV)",
    "snapshot (tensors)", "snapshot (JSON)", "class centres", "checkpoint", "checkpoint (digest made to fit)",
    "official pickle", "manifest", "predictions", "split plan", "split plan (bytes)", "study plan", "lineage",
    "classifiers", "PNG image", "JPEG image", "TIFF image", "lease", "lease (bytes)",
    "reference", "reference (bytes)",
]  # fmt: skip


@pytest.fixture(scope="module")
def formats(tmp_path_factory):
    return make_formats(tmp_path_factory.mktemp("sound"))


@contextmanager
def bounded():
    """A process that may take so much more memory, and an alarm."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)

    def hangs(*_):
        pytest.fail(f"it takes longer than {LONGEST_S} s")

    alarm = signal.signal(signal.SIGALRM, hangs)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM_BYTES, before[1]))
    faulthandler.dump_traceback_later(6 * LONGEST_S * max(1, INPUTS // 100), exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGALRM, alarm)


def test_every_format_is_fuzzed(formats):
    assert list(formats) == NAMES


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="skipped: memory is bounded through Linux's /proc")
@pytest.mark.parametrize("name", NAMES)
def test_damage_is_one_sentence(name, formats, tmp_path):
    form, told, began = formats[name], Counter(), time.monotonic()

    @settings(
        max_examples=INPUTS, deadline=None, print_blob=True,
        phases=PHASES, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(form.strategy)
    def one(damage):
        for left in tmp_path.iterdir():
            if left.is_file():
                left.unlink()
        try:
            form.write(tmp_path, damage)
        except (UnicodeEncodeError, ValueError):  # what cannot be written need not be read
            told["not written"] += 1
            return
        signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
        try:
            found = form.read(tmp_path)
        except (ThyganError, UnusableImageError) as error:
            text = str(error)
            assert text, "an error without a sentence"
            assert "\n" not in text, text
            assert len(text) < 1000, text
            told["refused"] += 1
        else:
            assert form.is_same is None or form.is_same(found), "it was read, and is not what was written"
            told["read"] += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    with tried("fuzz", format=name, tries=0, seconds=0.0) as row:
        try:
            with bounded(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                one()
        finally:
            row |= {**told, "tries": told.total(), "seconds": round(time.monotonic() - began, 1)}
