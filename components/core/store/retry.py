"""Waiting for a store at the start of a run, so that a short outage does not end it.

THYGAN_PATIENCE_S    longest wait, seconds; 300 if unset
"""

import math
import os
import time
from collections.abc import Callable
from typing import TypeVar

from components.core.errors import ConfigError, StoreAwayError
from components.core.runtime.progress import log

PATIENCE_VARIABLE, PATIENCE_S = "THYGAN_PATIENCE_S", 300.0
_FIRST_PAUSE_S, _MAX_PAUSE_S = 1.0, 15.0

Result = TypeVar("Result")


def wait_for_store(request: Callable[[], Result]) -> Result:
    """The result of `request`, which is repeated until its store answers; the first failure is logged.

    Args:
        request: A request to a store; it must be safe to repeat.

    Raises:
        ConfigError: THYGAN_PATIENCE_S is not a number of seconds.
        StoreAwayError: The store did not answer within THYGAN_PATIENCE_S.
    """
    patience_s = _patience_s()
    began_s, pause_s = time.monotonic(), _FIRST_PAUSE_S
    while True:
        try:
            return request()
        except StoreAwayError as error:
            waited_s = time.monotonic() - began_s
            if waited_s >= patience_s:
                raise StoreAwayError(f"{str(error).rstrip('.')} It did not answer for {waited_s:.0f} s.") from None
            if pause_s == _FIRST_PAUSE_S:
                log(f"{error} Waiting for up to {patience_s:g} s.", "warning")
            time.sleep(min(pause_s, patience_s - waited_s))
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)


def _patience_s() -> float:
    text = os.environ.get(PATIENCE_VARIABLE, str(PATIENCE_S))
    try:
        patience_s = float(text)
    except ValueError:
        patience_s = math.nan
    if not 0 <= patience_s < math.inf:
        raise ConfigError(f"{PATIENCE_VARIABLE} is {text!r}: write seconds, 0 or more.")
    return patience_s
