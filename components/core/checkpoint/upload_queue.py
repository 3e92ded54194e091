"""Errands to a store that may be away, behind the back of work that must not wait for it."""

import threading
from collections.abc import Callable

from components.core.errors import StoreError
from components.core.runtime.progress import log

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


class UploadQueue:
    """Runs errands in one thread; one that meets a StoreError is tried again until it succeeds.

    Of errands with the same purpose only the newest is kept: a checkpoint that is still waiting when the next one is
    made is not wanted any more. Says once that the store is away, and once that it is back.
    """

    def __init__(self, uri: str) -> None:
        """Starts the thread.

        Args:
            uri: The store's address, for what is said.
        """
        self._uri = uri
        self._waiting: dict[str, Callable[[], None]] = {}
        self._news = threading.Condition()
        self._is_busy = self._is_closing = False
        self._refusal = ""  # the store's last, while it is away
        self._accident: Exception | None = None  # what no second try can mend
        self._thread = threading.Thread(target=self._run, name=f"errands to {uri}", daemon=True)
        self._thread.start()

    def submit(self, purpose: str, errand: Callable[[], None]) -> None:
        """Leaves an errand, in the place of a waiting one with the same purpose.

        Raises:
            Exception: What ended the thread, where it was no StoreError.
        """
        with self._news:
            if self._accident:
                raise self._accident
            self._waiting[purpose] = errand
            self._news.notify_all()

    def wait(self, seconds: float) -> str:
        """Waits until nothing is left to do; returns '', or why something still is after so many seconds."""
        with self._news:
            done = self._news.wait_for(lambda: self._accident or not (self._waiting or self._is_busy), seconds)
            if self._accident:
                return f"{type(self._accident).__name__}: {self._accident}"
            return "" if done else self._refusal or f"{self._uri} took longer than {seconds:g} s."

    def close(self, seconds: float) -> str:
        """`wait`, after which nothing more is begun."""
        left = self.wait(seconds)
        with self._news:
            self._is_closing = True
            self._news.notify_all()
        self._thread.join(0 if left else None)
        return left

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while (taken := self._next()) is not None:
            purpose, errand = taken
            refusal = accident = None
            try:
                errand()
            except StoreError as error:
                refusal = str(error)
            except Exception as error:
                accident = error
            with self._news:
                self._is_busy, self._accident = False, accident
                if refusal:
                    self._waiting.setdefault(purpose, errand)  # unless a newer one came meanwhile
                if bool(refusal) != bool(self._refusal) and not accident:
                    log(f"{refusal} Going on; it is tried again." if refusal else f"{self._uri} is back.")
                self._refusal = refusal or ""
                self._news.notify_all()
                if accident:
                    return
                if refusal:
                    self._news.wait_for(lambda: self._is_closing, pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S) if refusal else _FIRST_PAUSE_S

    def _next(self) -> tuple[str, Callable[[], None]] | None:
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._is_closing)
            if self._is_closing:
                return None
            purpose = next(iter(self._waiting))
            self._is_busy = True
            return purpose, self._waiting.pop(purpose)
