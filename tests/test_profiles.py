"""The shipped profiles and the schema that editors check them with."""

import json
from pathlib import Path

import jsonschema
import pytest

from components.core.options.profiles import PROFILES, profile_names, read_profile
from components.groups import groups_schema, resolve_groups


def test_the_schema_is_the_options():
    """`thygan compile` writes it."""
    assert json.loads((PROFILES / "schema.json").read_text(encoding="utf-8")) == json.loads(json.dumps(groups_schema()))


@pytest.mark.parametrize("name", profile_names())
def test_a_shipped_profile_keeps_to_the_schema_and_the_options(name: str):
    jsonschema.validate(read_profile(name), groups_schema())
    resolve_groups(name, {})
    first, _ = Path(PROFILES / f"{name}.yaml").read_text(encoding="utf-8").split("\n", 1)
    assert first == "# yaml-language-server: $schema=schema.json"
