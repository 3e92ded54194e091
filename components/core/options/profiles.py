"""Profiles: named sets of options, as YAML files of groups.

    gan: {kimg: 3, augment: noaug}
    shared: {extractor_px: 64}

The shipped ones are in `components/core/profiles`. A stage resolves the profile that its task names, and lays the
options of its own group over it; so a run form that names a profile needs nothing else.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from components.core.errors import ConfigError
from components.core.options.parse import suggest

PROFILES = Path(__file__).parent.parent / "profiles"
NO_PROFILE = "none"


def profile_names() -> list[str]:
    """The shipped profiles, in alphabetical order."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def read_profile(name: str) -> dict[str, Any]:
    """A profile's groups: group -> option -> value.

    Args:
        name: A shipped profile, a YAML file, or "none" (or '') for no options.

    Raises:
        ConfigError: There is no profile of that name, or the file is not a mapping.
    """
    if name in ("", NO_PROFILE):
        return {}
    if name.endswith((".yaml", ".yml")):
        return read_yaml(Path(name))
    if name not in profile_names():
        raise ConfigError(f"There is no profile {name!r}{suggest(name, profile_names())} A YAML file works, too.")
    return read_yaml(PROFILES / f"{name}.yaml")


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`: mappings are merged key by key, anything else is replaced; None leaves what is there."""
    merged = dict(base)
    for name, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(name), Mapping):
            merged[name] = merge(merged[name], value)
        elif value is not None:
            merged[name] = value
    return merged


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's mapping.

    Raises:
        ConfigError: The file is missing, is not YAML, or holds something else than a mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name an existing YAML file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ConfigError(f"{path.name} is not YAML{where}: write one `name: value` a line.") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path.name} is not a mapping: write one `name: value` a line.")
    return values
