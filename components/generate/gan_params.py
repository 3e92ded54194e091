"""Thy-GAN's files of generation parameters: which seeds of which classes an arm takes.

    {"classes": [0, 1], "seeds": ["0-680", "0-533"], "network": ["models/gan.pkl"], "class_map": [0, 1]}

Its loader read `0-680` as 0, 1, … 679: the end is left out, other than in the command line of `thygan generate`, and so
it is read here. The network is the generator that is given, whatever the file calls it.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.errors import ConfigError
from components.core.io.atomic_files import read_json

_RANGE = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")
_FORM = '{"classes": [0, 1], "seeds": ["0-680", "0-533"], "class_map": [0, 1]}'


@dataclass(frozen=True)
class GanParams:
    """What a file asks for.

    Attributes:
        counts: Images of each class of the generator.
        firsts: The first latent seed of each class; the others follow one by one.
        labels: Binary label of each class.
    """

    counts: dict[int, int]
    firsts: dict[int, int]
    labels: dict[int, int]


def read_gan_params(given: str, arm: str) -> GanParams:
    """Reads a file, or its text where `given` begins with a brace.

    Raises:
        ConfigError: It has not the form above.
        DataError: There is no such file.
    """
    try:
        value = json.loads(given) if given.lstrip().startswith("{") else read_json(Path(given))
        if len({len(value[name]) for name in ("classes", "seeds", "class_map")}) > 1:
            raise ValueError("classes, seeds and class_map are not equally many")
        rows = [
            (_whole(index), *_range(seeds), _whole(label))
            for index, seeds, label in zip(value["classes"], value["seeds"], value["class_map"], strict=True)
        ]
    except (KeyError, TypeError, ValueError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ConfigError(f"The generation parameters of {arm} cannot be read ({reason}): write {_FORM}.") from None
    if len({index for index, *_ in rows}) < len(rows):
        raise ConfigError(f"The generation parameters of {arm} name a class twice: give each one range of seeds.")
    return GanParams(
        counts={index: end - first for index, first, end, _ in rows if end > first},
        firsts={index: first for index, first, *_ in rows},
        labels={index: label for index, *_, label in rows},
    )


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no class")
    return value


def _range(text: Any) -> tuple[int, int]:
    found = _RANGE.fullmatch(text) if isinstance(text, str) else None
    if not found or not int(found[1]) <= int(found[2]) <= 2**32:
        raise ValueError(f"{text!r} is no range of seeds")
    return int(found[1]), int(found[2])
