"""Groups of options: a wrong option is named with its group, stated ones are laid over a profile."""

import pytest

from components.core.errors import ConfigError
from components.groups import (
    GROUPS,
    STAGE_GROUP,
    check_groups,
    check_profile,
    resolve_group,
    resolve_groups,
    shared_fields,
)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"gann": {}}, r"^P: there is no group 'gann'; did you mean 'gan'\?"),
        ({"kimg": 5}, r"^P: there is no group 'kimg'"),
        ({"gan": {"kimgs": 5}}, r"^P: gan has no option 'kimgs'; did you mean 'kimg'\?"),
        ({"split": {"folds": 2.5}}, r"^P: split\.folds is 2\.5: give a whole number"),
        ({"report": {"title": 5}}, r"^P: report\.title is 5: give a string"),
        ({"split": {"arms": ["none", "bi99"]}}, r"There is no arm 'bi99'"),
        ({"mpp": "0.5"}, r"^P: mpp is '0\.5'"),
        ({"umap": [1]}, r"^P: umap is \[1\]: write a mapping"),
    ],
)
def test_wrong_options_are_named_with_their_group(values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        check_profile(values, "P")


def test_every_group_has_its_defaults_where_nothing_is_stated():
    assert check_groups({}) == {name: kind() for name, kind in GROUPS.items()}
    assert list(GROUPS) == [
        "tile", "split", "gan", "selection", "generation", "classifier", "evaluation", "umap", "report", "shared",
    ]  # fmt: skip


def test_stated_options_are_laid_over_the_profile():
    options, shared = resolve_group("gan", "demo", {"kimg": 5.0}, {"device": "cpu"})
    assert (options.kimg, options.augment, options.batch) == (5.0, "noaug", 16)
    assert (shared.extractor_px, shared.device) == (64, "cpu")
    assert resolve_groups("demo", {"gan": {"kimg": 5}})["gan"] == options


def test_a_shared_option_that_some_stage_reads_is_in_the_group():
    read = {name for stage in STAGE_GROUP for name in shared_fields(stage)}
    assert read == set(GROUPS["shared"].__dataclass_fields__)
