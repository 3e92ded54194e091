"""What can go wrong, drawn once.

    ThyganError            one clear sentence: what, where, what to do
    ├── ConfigError        a parameter that cannot be meant
    ├── DataError          images, labels, manifests, archives
    ├── LeakageError       a patient on both sides of a split
    ├── WeightsError       a network's weights: missing, unverified, unfit
    ├── TrainingError      a training that cannot go on
    └── StoreError         a folder or bucket that cannot be used, or is in another run's use
        └── StoreAwayError a bucket that does not answer, or asks to come later

Every message is a sentence for the person who gave the input. A shell prints it and exits with 1.
"""

import re

_OF_MEMORY = re.compile(
    r"OutOfMemoryError|can't allocate memory|could not create a (primitive|memory)$|can't start new thread"
    r"|failed to map segment"
)


class ThyganError(Exception):
    """Base of all errors that are the input's and not the program's."""


class ConfigError(ThyganError):
    """A parameter outside what it may be."""


class DataError(ThyganError):
    """Images, labels, manifests or archives that cannot be used."""


class LeakageError(ThyganError):
    """A patient that a network has seen stands where only unseen ones may."""


class WeightsError(ThyganError):
    """Weights that are missing, are not what they claim, or do not fit."""


class TrainingError(ThyganError):
    """A training that cannot go on."""


class StoreError(ThyganError):
    """A folder or bucket that cannot be reached, read, written, or had for oneself."""


class StoreAwayError(StoreError):
    """A bucket that does not answer, or asks to come later: waiting may help."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was not enough: Python's own error, a GPU's (which torch derives from RuntimeError), torch's and
    oneDNN's words about a CPU's, a thread that found none for its stack, or a library for itself."""
    return isinstance(error, MemoryError) or bool(_OF_MEMORY.search(f"{type(error).__name__}: {error}".strip()))


def one_line(reason: object, longest: int = 160) -> str:
    """What a library says, or a stranger wrote, as a part of a sentence: on one line, and no longer than so much."""
    text = " ".join(str(reason).split()).rstrip(".")
    return text if len(text) <= longest else f"{text[:longest]} …"
