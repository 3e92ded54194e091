"""Thy-GAN's files of generation parameters: which seeds of which classes an arm takes.

    {"classes": [0, 1], "seeds": ["0-680", "0-533"], "network": ["models/gan.pkl"], "class_map": [0, 1]}

Its loader read `0-680` as 0, 1, … 679: the end is left out, unlike on the command line of `thygan generate`, and it is
read the same way here. The stage's generator is used, whatever network the file names.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.errors import ConfigError
from components.core.io.atomic_files import read_json

_RANGE = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")
_EXAMPLE = '{"classes": [0, 1], "seeds": ["0-680", "0-533"], "class_map": [0, 1]}'


@dataclass(frozen=True)
class GanParams:
    """The generation parameters of one arm.

    Attributes:
        counts: Class index -> number of images.
        first_seeds: Class index -> latent seed of its first image; the others follow one by one.
        labels: Class index -> binary label.
    """

    counts: dict[int, int]
    first_seeds: dict[int, int]
    labels: dict[int, int]


def read_gan_params(source: str, arm: str) -> GanParams:
    """Reads generation parameters.

    Args:
        source: A file, or its text, which begins with a brace.
        arm: The arm that they are for, named in messages.

    Raises:
        ConfigError: They do not have the form above.
        DataError: The file does not exist.
    """
    try:
        value = json.loads(source) if source.lstrip().startswith("{") else read_json(Path(source))
        if len({len(value[name]) for name in ("classes", "seeds", "class_map")}) > 1:
            raise ValueError("classes, seeds and class_map differ in length")
        rows = [
            (_class_index(index), *_seed_range(seeds), _class_index(label))
            for index, seeds, label in zip(value["classes"], value["seeds"], value["class_map"], strict=True)
        ]
    except (KeyError, TypeError, ValueError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ConfigError(f"The generation parameters of {arm} cannot be read ({reason}): write {_EXAMPLE}.") from None
    if len({index for index, *_ in rows}) < len(rows):
        raise ConfigError(f"The generation parameters of {arm} name a class twice: give each one range of seeds.")
    return GanParams(
        counts={index: end - first for index, first, end, _ in rows if end > first},
        first_seeds={index: first for index, first, *_ in rows},
        labels={index: label for index, *_, label in rows},
    )


def _class_index(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a class index")
    return value


def _seed_range(text: Any) -> tuple[int, int]:
    match = _RANGE.fullmatch(text) if isinstance(text, str) else None
    if not match or not int(match[1]) <= int(match[2]) <= 2**32:
        raise ValueError(f"{text!r} is not a range of seeds")
    return int(match[1]), int(match[2])
