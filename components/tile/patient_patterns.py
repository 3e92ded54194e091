"""Patients from file names: patterns with a name of their own, and regular expressions."""

import re
from collections.abc import Callable, Iterable

from components.core.data.manifest import is_missing
from components.core.errors import ConfigError

PATTERNS = {
    "tharun-thompson": r"^(?P<patient>\d+)[a-z]\.jpe?g$",  # 100a.jpeg
    "tcga": r"^(?P<patient>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})(?![A-Z0-9])",  # project, source site, participant
    "nikiforov": r"^NIK-(?P<patient>[A-Z]?\d+)_\d+\.",  # NIK-A008_0.jpeg
}

PatientFinder = Callable[[str], str]


def patient_finder(pattern: str) -> PatientFinder:
    """The function from a file's name to its patient; '' = it names none.

    Args:
        pattern: Names of PATTERNS with commas between, tried in turn; or a regular expression with a group `patient`;
            '' = no patient is found.

    Raises:
        ConfigError: The pattern is neither of them.
    """
    expressions = [_compile(expression) for expression in _expressions(pattern)]

    def find(name: str) -> str:
        match = next(filter(None, (expression.search(name) for expression in expressions)), None)
        patient = (match["patient"] or "") if match else ""
        return "" if is_missing(patient) else patient

    return find


def find_patterns(names: Iterable[str]) -> str:
    """The known pattern, or several with commas, by which every name names a patient; '' = no such pattern."""
    names = list(names)
    patterns = ",".join(known for known in PATTERNS if any(map(patient_finder(known), names)))
    return patterns if names and all(map(patient_finder(patterns), names)) else ""


def _expressions(pattern: str) -> list[str]:
    words = [word.strip().lower() for word in pattern.split(",")]
    if all(word in PATTERNS for word in words):
        return [PATTERNS[word] for word in words]
    return [pattern] if pattern else []


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"--patient-pattern {pattern!r} is not a regular expression ({error}): correct it, or name a known "
            f"pattern ({', '.join(PATTERNS)})."
        ) from None
    if "patient" not in compiled.groupindex:
        raise ConfigError(
            f"--patient-pattern {pattern!r} has no group `patient`: write for example (?P<patient>\\d+)[a-z]\\.jpeg, "
            f"or name a known pattern ({', '.join(PATTERNS)})."
        )
    return compiled
