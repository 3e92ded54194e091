"""Patients from file names, by patterns that are known by name or given as regular expressions."""

import re
from collections.abc import Callable, Iterable

from components.core.data.manifest import is_missing
from components.core.errors import ConfigError

PATTERNS = {
    "tharun-thompson": r"^(?P<patient>\d+)[a-z]\.jpe?g$",  # 100a.jpeg
    "tcga": r"^(?P<patient>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})(?![A-Z0-9])",  # project, source site, participant
    "nikiforov": r"^NIK-(?P<patient>[A-Z]?\d+)_\d+\.",  # NIK-A008_0.jpeg
}

Finder = Callable[[str], str]


def finder(pattern: str) -> Finder:
    """Finds the patient in a file's name; '' = it names none.

    Args:
        pattern: Names of PATTERNS with commas between, tried in turn; or a regular expression with a group `patient`;
            '' finds nobody.

    Raises:
        ConfigError: The pattern is neither.
    """
    compiled = [_compiled(one) for one in _expressions(pattern)]

    def find(name: str) -> str:
        found = next(filter(None, (one.search(name) for one in compiled)), None)
        patient = (found["patient"] or "") if found else ""
        return "" if is_missing(patient) else patient

    return find


def fitting(names: Iterable[str]) -> str:
    """The known pattern, or several, by which every name names a patient; '' = there is none."""
    names = list(names)
    fits = [known for known in PATTERNS if any(map(finder(known), names))]
    together = ",".join(fits)
    return together if names and all(map(finder(together), names)) else ""


def _expressions(pattern: str) -> list[str]:
    words = [word.strip().lower() for word in pattern.split(",")]
    if all(word in PATTERNS for word in words):
        return [PATTERNS[word] for word in words]
    return [pattern] if pattern else []


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"--patient-pattern {pattern!r} is no regular expression ({error}), nor the name of a known one "
            f"({', '.join(PATTERNS)})."
        ) from None
    if "patient" not in compiled.groupindex:
        raise ConfigError(
            f"--patient-pattern {pattern!r} has no group `patient`: write for example (?P<patient>\\d+)[a-z]\\.jpeg, "
            f"or name a known one ({', '.join(PATTERNS)})."
        )
    return compiled
