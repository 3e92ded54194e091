"""Temporary names of unfinished files: `.NAME.HOST-PROCESS-START.part`, beside NAME.

A killed process leaves one behind. The next writer of the same output removes it once its process is known to have
ended. HOST identifies one boot of one host and one container, in which process numbers are unique; START tells a
process from a later one with the same number. A file of another host is removed when nothing was written to it for a
week.
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

OTHER_HOST_KEEP_S = 7 * 86400.0
_ENDING = re.compile(r"\.([0-9a-f]{8})-(\d+)-(\d+)\.part")


def partial_path(path: Path) -> Path:
    """The temporary path of this process for `path`."""
    return path.with_name(f".{path.name}.{_host_id()}-{os.getpid()}-{_start_ticks(os.getpid())}.part")


def remove_stale_partials(path: Path) -> None:
    """Removes the temporary files of ended writers of `path`, as far as the system allows."""
    for part in path.parent.glob(f".{escape(path.name)}.*.part"):
        match = _ENDING.fullmatch(part.name, len(path.name) + 1)
        if match and _is_stale(part, *match.groups()):
            with suppress(OSError):
                remove(part)


def remove(path: Path) -> None:
    """Removes a file or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_stale(part: Path, host: str, process: str, start: str) -> bool:
    if host == _host_id():
        return not _is_running(int(process)) or _start_ticks(int(process)) != int(start)
    try:
        newest = max(path.lstat().st_ctime for path in (part, *part.rglob("*")))
    except OSError:  # its writer is changing it now
        return False
    return time.time() - newest > OTHER_HOST_KEEP_S


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _start_ticks(process: int) -> int:
    """Start of a process, clock ticks since the boot; 0 = unknown."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])


@cache
def _host_id() -> str:
    facts = [platform.node()]
    with suppress(OSError):
        facts += [
            Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:8]
