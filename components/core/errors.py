"""The errors of thygan, one class for each kind of cause.

    ThyganError            base class; the message says what, where and what to do
    ├── ConfigError        an option outside its range or choices
    ├── DataError          images, labels, manifests, archives
    ├── LeakageError       a patient on both sides of a split
    ├── WeightsError       a network's weights: missing, unverified, unfit
    ├── TrainingError      a training that cannot continue
    └── StoreError         a folder or bucket that cannot be used, or is in use by another run
        └── StoreAwayError a bucket that does not answer, or asks for a later retry

Every message is for the person who gave the input. The command line prints it and exits with 1.
"""

import re

_OUT_OF_MEMORY = re.compile(
    r"OutOfMemoryError|can't allocate memory|could not create a (primitive|memory)$|can't start new thread"
    r"|failed to map segment"
)


class ThyganError(Exception):
    """Base of all errors that the input, not the program, has caused."""


class ConfigError(ThyganError):
    """An option or environment variable outside its range or choices."""


class DataError(ThyganError):
    """Images, labels, manifests or archives that cannot be used."""


class LeakageError(ThyganError):
    """A patient whom a network has seen is in a validation or test set."""


class WeightsError(ThyganError):
    """Weights that are missing, unverified, or of another architecture."""


class TrainingError(ThyganError):
    """A training that cannot continue."""


class StoreError(ThyganError):
    """A folder or bucket that cannot be reached, read, written or locked."""


class StoreAwayError(StoreError):
    """A bucket that does not answer, or asks for a later retry: waiting may help."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was not enough.

    That is Python's MemoryError; the RuntimeErrors of torch for a GPU and of torch and oneDNN for the CPU; a thread
    without memory for its stack; and a shared library that could not be mapped.
    """
    return isinstance(error, MemoryError) or bool(_OUT_OF_MEMORY.search(f"{type(error).__name__}: {error}".strip()))


def one_line(text: object, max_chars: int = 160) -> str:
    """A foreign text, for example a library's message, as part of a sentence: one line of limited length."""
    line = " ".join(str(text).split()).rstrip(".")
    return line if len(line) <= max_chars else f"{line[:max_chars]} …"
