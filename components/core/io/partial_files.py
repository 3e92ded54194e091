"""What is being written, beside the name that it will take: `.NAME.PLACE-PROCESS-START.part`.

A kill leaves it there, and the next writer of the same output removes it once its writer is known to be gone. Process
numbers say that only where they count: PLACE stands for one boot of one host and one container, whose numbers no other
pod on the same volume shares, and START tells a process from a later one of the same number. What another place left is
removed when nothing of it was written for a week.
"""

import hashlib
import os
import platform
import re
import shutil
import time
from contextlib import suppress
from functools import cache
from glob import escape
from pathlib import Path

OTHERS_KEEP_S = 7 * 86400.0
_ENDING = re.compile(r"\.([0-9a-f]{8})-(\d+)-(\d+)\.part")


def partial_path(path: Path) -> Path:
    """Where this process writes what will be `path`."""
    return path.with_name(f".{path.name}.{_place()}-{os.getpid()}-{_start(os.getpid())}.part")


def remove_stale_partials(path: Path) -> None:
    """Removes what writers of `path` left who are gone; what cannot be removed stays."""
    for part in path.parent.glob(f".{escape(path.name)}.*.part"):
        told = _ENDING.fullmatch(part.name, len(path.name) + 1)
        if told and _is_left(part, *told.groups()):
            with suppress(OSError):
                remove(part)


def remove(path: Path) -> None:
    """Has no file and no folder lie there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_left(part: Path, place: str, process: str, start: str) -> bool:
    if place == _place():
        return not _lives(int(process)) or _start(int(process)) != int(start)
    try:
        newest = max(one.lstat().st_ctime for one in (part, *part.rglob("*")))
    except OSError:  # its writer is at it
        return False
    return time.time() - newest > OTHERS_KEEP_S


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _start(process: int) -> int:
    """When a process began, in ticks since the boot; 0 where the system does not tell."""
    try:
        told = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(told.rpartition(")")[2].split()[19])


@cache
def _place() -> str:
    facts = [platform.node()]
    with suppress(OSError):
        facts += [
            Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:8]
