"""Where the trainings of one task are kept, so that the same command goes on with them when it was killed.

That is worth no run: a store that goes away meanwhile, or takes nothing more, is said and done without.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.checkpoint.lease import hold_lease
from components.core.checkpoint.state_file import read_state, write_state
from components.core.errors import DataError, StoreError
from components.core.io.atomic_files import digest
from components.core.runtime.progress import log
from components.core.store import open_store
from components.core.store.base import validate_name

_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Kept:
    """The states of a task's trainings, a file each, in a folder or a bucket.

    Attributes:
        uri: The task's own place; '' = nothing is kept.
        minutes: Between two states of one training, which is kept at its end in any case.
    """

    uri: str = ""
    minutes: float = 10.0

    def read(self, name: str) -> dict[str, Any] | None:
        """A training's last state; None where there is none, a torn one, or no store that answers."""
        if not self.uri:
            return None
        store = open_store(self.uri)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state"
            try:
                if not store.exists(_file(name)):
                    return None
                store.get(_file(name), path)
                return read_state(path).state
            except (DataError, StoreError) as error:
                log(f"{error} This training starts anew.")
                return None

    def write(self, name: str, state: dict[str, Any]) -> None:
        """Keeps a training's state in the place of its last one, if the store takes it."""
        if not self.uri:
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state"
            try:
                write_state(path, state, {})
                open_store(self.uri).put(path, _file(name))
            except StoreError as error:
                log(f"{error} The training goes on; were it killed now, it would begin where it was kept before.")

    def clear(self) -> None:
        """Removes all states, if the store lets it: what the task was for is finished."""
        store = open_store(self.uri)
        try:
            for entry in store.list():
                if entry.name.endswith(_SUFFIX):
                    store.delete(entry.name)
        except StoreError as error:
            log(f"{error} Trainings of a finished task stay there.")


@contextmanager
def kept_states(uri: str, minutes: float, scheme: str, fold: str, task: dict[str, Any]) -> Iterator[Kept]:
    """The task's place below `uri`, owned until the end of the block; cleared where that is reached.

    Args:
        uri: Base: a folder or `s3://bucket/prefix`; '' = nothing is kept.
        minutes: Between two states of one training.
        scheme: Of the chain.
        fold: Of the plan.
        task: Everything that a training depends on: another task has another place.

    Raises:
        StoreError: Another run owns the place, or it cannot be used.
    """
    if not uri:
        yield Kept()
        return
    place = f"{uri.rstrip('/')}/{validate_name(f'classifier_cv/{scheme}/{fold}/{digest(task)[:12]}')}"
    with hold_lease(place):
        kept = Kept(place, minutes)
        yield kept
        kept.clear()


def _file(name: str) -> str:
    return validate_name(name + _SUFFIX)
