"""Cron as KFP reads it: six fields, seconds first."""

import re

from components.core.errors import ConfigError

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("second", 0, 59, []),
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)


def check_cron(text: str, where: str) -> str:
    """The expression, if KFP takes it.

    Args:
        text: The expression.
        where: What a message begins with, for example weekly.yaml.

    Raises:
        ConfigError: The expression is wrong.
    """
    fields = text.split()
    if len(fields) == 5:
        raise ConfigError(f"{where}: cron {text!r} has five fields; KFP has six, seconds first: write '0 {text}'.")
    if len(fields) != 6:
        raise ConfigError(
            f"{where}: cron {text!r} has {len(fields)} fields; write six: second minute hour day month weekday."
        )
    for field, (name, least, most, words) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            if not _is_valid(part, least, most, words, may_be_open=name.startswith("day")):
                raise ConfigError(f"{where}: cron {text!r} has the {name} {part!r}; it goes from {least} to {most}.")
    return text


def _is_valid(part: str, least: int, most: int, words: list[str], *, may_be_open: bool) -> bool:
    whole, _, step = part.partition("/")
    if "/" in part and not (step.isdigit() and int(step) > 0):
        return False
    if whole == "*" or (whole == "?" and may_be_open):
        return True
    ends = whole.split("-")
    if not 1 <= len(ends) <= 2:
        return False
    numbers = []
    for end in ends:
        if end.upper() in words:
            numbers.append(words.index(end.upper()) + least)
        elif re.fullmatch(r"\d{1,2}", end):
            numbers.append(int(end))
        else:
            return False
    return all(least <= one <= most for one in numbers) and numbers == sorted(numbers)
