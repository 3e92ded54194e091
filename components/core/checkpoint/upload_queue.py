"""Uploads in the background, to a store that may be unreachable for a while."""

import threading
from collections.abc import Callable

from components.core.errors import StoreError
from components.core.runtime.progress import log

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


class UploadQueue:
    """Runs uploads and deletions in one thread; one that raises StoreError is repeated until it succeeds.

    Of waiting tasks with the same name only the newest stays: a checkpoint that still waits when the next one is
    written is obsolete. Logs once that the store is unreachable, and once that it is back.
    """

    def __init__(self, uri: str) -> None:
        """Starts the thread.

        Args:
            uri: The store's address, for log lines.
        """
        self._uri = uri
        self._waiting: dict[str, Callable[[], None]] = {}
        self._changed = threading.Condition()
        self._is_busy = self._is_closing = False
        self._refusal = ""  # the store's last error, while it fails
        self._failure: Exception | None = None  # an error that no repetition can mend
        self._thread = threading.Thread(target=self._run, name=f"uploads to {uri}", daemon=True)
        self._thread.start()

    def submit(self, name: str, task: Callable[[], None]) -> None:
        """Adds a task; it replaces a waiting one of the same name.

        Args:
            name: Name of the task, such as the file's.
            task: Function that uploads or deletes; called in the thread.

        Raises:
            Exception: The error that ended the thread, if it was not a StoreError.
        """
        with self._changed:
            if self._failure:
                raise self._failure
            self._waiting[name] = task
            self._changed.notify_all()

    def wait(self, seconds: float) -> str:
        """Waits until the queue is empty; returns '', or the reason why it is not empty after so many seconds."""
        with self._changed:
            done = self._changed.wait_for(lambda: self._failure or not (self._waiting or self._is_busy), seconds)
            if self._failure:
                return f"{type(self._failure).__name__}: {self._failure}"
            return "" if done else self._refusal or f"{self._uri} took longer than {seconds:g} s."

    def close(self, seconds: float) -> str:
        """`wait`, after which no further task starts; returns what `wait` returns."""
        left = self.wait(seconds)
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(0 if left else None)
        return left

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while (task := self._next()) is not None:
            name, work = task
            refusal = failure = None
            try:
                work()
            except StoreError as error:
                refusal = str(error)
            except Exception as error:
                failure = error
            with self._changed:
                self._is_busy, self._failure = False, failure
                if refusal:
                    self._waiting.setdefault(name, work)  # unless a newer one came meanwhile
                if bool(refusal) != bool(self._refusal) and not failure:
                    log(f"{refusal} The work continues; it is tried again." if refusal else f"{self._uri} is back.")
                self._refusal = refusal or ""
                self._changed.notify_all()
                if failure:
                    return
                if refusal:
                    self._changed.wait_for(lambda: self._is_closing, pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S) if refusal else _FIRST_PAUSE_S

    def _next(self) -> tuple[str, Callable[[], None]] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            if self._is_closing:
                return None
            name = next(iter(self._waiting))
            self._is_busy = True
            return name, self._waiting.pop(name)
