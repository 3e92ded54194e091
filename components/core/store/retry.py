"""What a run begins with is worth waiting for: a bucket that is away for a moment ends no run.

THYGAN_PATIENCE_S    how long it is waited for, seconds; 300 where it is not set
"""

import math
import os
import time
from collections.abc import Callable
from typing import TypeVar

from components.core.errors import ConfigError, StoreAwayError
from components.core.runtime.progress import log

PATIENCE_VARIABLE, PATIENCE_S = "THYGAN_PATIENCE_S", 300.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0

Result = TypeVar("Result")


def wait_for_store(work: Callable[[], Result]) -> Result:
    """What `work` returns, once its store answers; says that it waits.

    Args:
        work: Asks a store for something; what it began may be begun again.

    Raises:
        ConfigError: THYGAN_PATIENCE_S cannot be meant.
        StoreAwayError: It was away for as long as one waits.
    """
    patience_s = _patience_s()
    began_s, pause_s = time.monotonic(), _FIRST_PAUSE_S
    while True:
        try:
            return work()
        except StoreAwayError as error:
            waited_s = time.monotonic() - began_s
            if waited_s >= patience_s:
                raise StoreAwayError(f"{str(error).rstrip('.')}; it was waited for, for {waited_s:.0f} s.") from None
            if pause_s == _FIRST_PAUSE_S:
                log(f"{error} Waiting for it, for {patience_s:g} s at most.")
            time.sleep(min(pause_s, patience_s - waited_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _patience_s() -> float:
    given = os.environ.get(PATIENCE_VARIABLE, str(PATIENCE_S))
    try:
        patience_s = float(given)
    except ValueError:
        patience_s = math.nan
    if not 0 <= patience_s < math.inf:
        raise ConfigError(f"{PATIENCE_VARIABLE} is {given!r}: give seconds, 0 or more.")
    return patience_s
