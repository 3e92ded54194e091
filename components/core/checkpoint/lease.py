"""Leases: one owner at a time of a folder or of a bucket's prefix, so that two runs never mix their files.

A folder is owned by a file lock, which the system releases when its owner dies. A bucket has no locks: there the owner
writes `lease.json` under a condition and renews it. Another run acquires the lease once it was not renewed for as long
as it states, measured by the store's clock or by watching it: no two machines' clocks are compared. A dead owner thus
blocks no longer than that, and a living one is recognised by its renewals.
"""

import fcntl
import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from components.core.errors import StoreError
from components.core.runtime.progress import log
from components.core.store import SmallObject, Store, is_bucket, local_folder, open_store
from components.core.store.retry import wait_for_store

EXPIRY_S, _LONGEST_EXPIRY_S = 60.0, 3600.0
_OBJECT, _LOCK = "lease.json", ".lease"
_RENEWALS_PER_EXPIRY = 4


class Lease(Protocol):
    """Ownership of a place, until `release` or until it is lost."""

    def check(self) -> None:
        """Raises StoreError where another run is known to be the owner now. Costs nothing."""

    def confirm(self) -> bool:
        """Whether it is held right now; to be called before a write. StoreError where the store does not answer."""

    def release(self) -> None:
        """Ends it."""


def acquire_lease(uri: str | Path, expiry_s: float = EXPIRY_S) -> Lease:
    """Acquires the lease of a folder, or of a bucket's prefix.

    Args:
        uri: Folder or address, as `open_store` takes it.
        expiry_s: Time after which an owner that renews nothing counts as dead, seconds; buckets only.

    Raises:
        StoreError: Another owner lives, or the store cannot be used; a bucket that does not answer is waited for.
    """
    if is_bucket(uri):
        return ObjectLease(open_store(uri, retries=2, timeout_s=max(1.0, expiry_s / 6)), expiry_s)
    return FolderLease(local_folder(uri))


@contextmanager
def hold_lease(uri: str | Path, expiry_s: float = EXPIRY_S) -> Iterator[Lease]:
    """`acquire_lease`, until the end of the block."""
    lease = acquire_lease(uri, expiry_s)
    try:
        yield lease
    finally:
        lease.release()


class FolderLease:
    """A lock on a hidden file of the folder; it ends with the process, however that ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _LOCK
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+", encoding="utf-8")
        except OSError as error:
            raise StoreError(
                f"{folder} cannot be used ({error.strerror}): give a folder that can be written."
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            owner = self._file.read() or "another process"
            self._file.close()
            if not isinstance(error, BlockingIOError):
                raise StoreError(
                    f"{folder} supports no file locks ({error.strerror}): give a folder on another disk."
                ) from None
            raise StoreError(
                f"{folder} is in use by {owner}, until that process ends: stop it, or give another folder."
            ) from None
        self._file.truncate(0)
        self._file.write(f"{_owner_name()} since {_clock()}")
        self._file.flush()

    def check(self) -> None:
        """Raises StoreError where the folder was removed while it was in use."""
        if not self.confirm():
            raise StoreError(f"{self._path.parent} was removed while it was in use: this run stops; start it again.")

    def confirm(self) -> bool:
        """Whether the locked file is still in the folder."""
        return self._path.exists() and os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))

    def release(self) -> None:
        """Ends it; the file stays, because two runs could otherwise each lock a file of that name."""
        self._file.close()


@dataclass(frozen=True)
class _Claim:
    """The content of `lease.json`; `renewals` makes each one differ from the one before."""

    owner: str
    since: str
    token: str
    expiry_s: float
    renewals: int = 0
    is_released: bool = False

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def decode(note: SmallObject) -> "_Claim":
        """The claim in a file; one that cannot be read counts as another owner's, with the usual expiry."""
        try:
            claim = _Claim(**json.loads(note.data))
            expiry_s = float(claim.expiry_s)
        except (ValueError, TypeError, RecursionError):
            return _Claim("an unknown owner", "an unknown time", "", EXPIRY_S)
        return replace(claim, expiry_s=min(expiry_s, _LONGEST_EXPIRY_S) if expiry_s > 0 else EXPIRY_S)


class ObjectLease:
    """A lease as an object in a store with conditional writes, renewed by a thread."""

    def __init__(self, store: Store, expiry_s: float = EXPIRY_S) -> None:
        self._store, self._expiry_s = store, expiry_s
        self._claim = _Claim(_owner_name(), _clock(), secrets.token_hex(8), expiry_s)
        self._lost = ""
        self._mutex = threading.Lock()
        self._renewed_s = _now_s()
        self._version = wait_for_store(self._take)  # a repeated request whose first answer was lost finds its own token
        if wait_for_store(lambda: store.write(_OBJECT, self._claim.encode(), replaces="")) is not None:
            raise StoreError(
                f"{store.uri} ignores conditional writes (If-None-Match), so two runs could mix their files: use a "
                "store that supports them, or a folder."
            )
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease of {store.uri}", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises StoreError where a renewal met another owner."""
        if self._lost:
            raise StoreError(self._lost)

    def confirm(self) -> bool:
        """Whether it is held; asks the store where the last renewal is old."""
        with self._mutex:
            if not self._lost and _now_s() - self._renewed_s > self._expiry_s / 2:
                self._renew()
            return not self._lost

    def release(self) -> None:
        """Ends it, so that the next owner need not wait; where the store does not answer, it expires."""
        self._end.set()
        with self._mutex:
            if not self._lost:
                self._claim = replace(self._claim, is_released=True)
                with suppress(StoreError):
                    self._renew()

    def _take(self) -> str:
        """Version of our `lease.json`, once it is written; another owner's is watched until it changes or expires."""
        began_s, watched = _now_s(), None
        while True:
            note = self._store.read(_OBJECT)
            if note is not None:
                claim = _Claim.decode(note)
                if claim.token == self._claim.token:  # a repeated request, whose first answer was lost
                    return note.version
                left_s = claim.expiry_s - max(note.age_s, _now_s() - began_s if watched else 0)
                if not claim.is_released and left_s >= 0:
                    if watched not in (None, note.version):
                        raise StoreError(_refusal(self._store.uri, claim, left_s))
                    if watched is None:
                        log(f"{_refusal(self._store.uri, claim, left_s)} Waiting to see whether it is renewed.")
                    watched = note.version
                    time.sleep(min(1.0, claim.expiry_s / 20))
                    continue
            self._renewed_s = _now_s()
            replaces = note.version if note else ""
            if (version := self._store.write(_OBJECT, self._claim.encode(), replaces=replaces)) is not None:
                return version
            watched = watched or replaces  # another run was faster, so it lives

    def _keep(self) -> None:
        while not self._end.wait(self._expiry_s / _RENEWALS_PER_EXPIRY) and not self._lost:
            with self._mutex, suppress(StoreError):  # an unreachable store: it stays ours until another run acquires it
                self._renew()

    def _renew(self) -> None:
        began_s, since_s = _now_s(), self._renewed_s
        claim = replace(self._claim, renewals=self._claim.renewals + 1)
        version = self._store.write(_OBJECT, claim.encode(), replaces=self._version)
        if version is None:
            note = self._store.read(_OBJECT)
            other = _Claim.decode(note) if note else None
            if note is None or other is None or other.token != claim.token:
                by = f"taken over by {other.owner} since {other.since}" if other else "removed"
                self._lost = (
                    f"The lease of {self._store.uri} was {by}, {began_s - since_s:.0f} s after this run had last "
                    "renewed it: this run stops before it overwrites anything."
                )
                return
            version = note.version
        self._claim, self._version, self._renewed_s = claim, version, began_s


def _refusal(uri: str, claim: _Claim, left_s: float) -> str:
    return (
        f"{uri} is in use by {claim.owner} since {claim.since}, whose lease runs until {_clock(max(0.0, left_s))} "
        "if it is not renewed: stop that run, or give another address."
    )


def _owner_name() -> str:
    return f"{platform.node()} (process {os.getpid()})"


def _clock(later_s: float = 0.0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=later_s)).strftime("%Y-%m-%d %H:%M:%S UTC")


def _now_s() -> float:
    """Seconds since the boot, including those of a suspended machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
