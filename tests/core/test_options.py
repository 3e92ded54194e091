"""Options: one declaration gives parsing, defaults, cache-relevant values and a schema that a second program checks."""

from dataclasses import dataclass

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import ConfigError
from components.core.options.fields import describe_options, option
from components.core.options.parse import check_options, parse, result_values, to_values
from components.core.options.profiles import merge, profile_names, read_profile, read_yaml
from components.core.options.schema import profile_schema


@dataclass(frozen=True)
class Sample:
    """Every type that an option may have."""

    kimg: float | None = option(None, "Training length, thousands of images.", low=0, above=True)
    batch: int = option(32, "Images per step.", low=1, high=4096)
    augment: str = option("ada", "What the discriminator sees.", choices=("ada", "noaug"))
    arms: tuple[str, ...] = option(("none",), "Arms.")
    mpp: dict[str, str] = option({}, "Micrometres per pixel of each site.")
    stop: bool = option(True, "Stop on collapse.")
    device: str = option("auto", "Where it runs.", affects_result=False)


def test_numbers_of_a_driver_and_of_yaml_have_one_canonical_form():
    driver = parse(Sample, {"batch": 16.0, "kimg": 3.0, "mpp": {"a": 0.5}}, "gan")
    yaml = parse(Sample, {"batch": 16, "kimg": 3, "mpp": {"a": "0.5"}}, "gan")
    assert driver == yaml
    assert to_values(driver) == {
        "kimg": 3.0,
        "batch": 16,
        "augment": "ada",
        "arms": ["none"],
        "mpp": {"a": "0.5"},
        "stop": True,
        "device": "auto",
    }
    assert type(to_values(driver)["batch"]) is int


def test_what_is_left_out_or_null_is_the_default():
    assert parse(Sample, {}, "gan") == parse(Sample, {"kimg": None, "batch": None}, "gan") == Sample()
    assert "kimg" not in to_values(Sample())


def test_defaults_are_not_shared_between_instances():
    Sample().mpp["a"] = "1"
    assert Sample().mpp == {}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"kimgs": 5}, r"gan has no option 'kimgs'; did you mean 'kimg'\?"),
        ({"batch": 5.5}, "gan.batch is 5.5: give a whole number"),
        ({"batch": True}, "gan.batch is True: give a whole number"),
        ({"batch": 0}, "gan.batch is 0: give a whole number, 1 to 4096"),
        ({"batch": 5000}, "gan.batch is 5000"),
        ({"kimg": 0}, "gan.kimg is 0: give a number, above 0"),
        ({"kimg": float("nan")}, "gan.kimg is nan: give a finite number"),
        ({"kimg": "1e-3"}, "gan.kimg is '1e-3': give a number"),
        ({"augment": "adaa"}, "gan.augment is 'adaa': give one of ada, noaug"),
        ({"arms": "none"}, "gan.arms is 'none': give a list of strings"),
        ({"arms": ["none", 1]}, "gan.arms is"),
        ({"mpp": ["a=1"]}, "gan.mpp is"),
        ({"mpp": {"a": None}}, "gan.mpp.a is None"),
        ({"stop": "no"}, "gan.stop is 'no': give true or false"),
    ],
)
def test_wrong_values_are_refused_with_their_name(values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        parse(Sample, values, "gan")


def test_only_named_options_are_taken():
    assert parse(Sample, {"batch": 2}, "shared", only=("batch",)).batch == 2
    with pytest.raises(ConfigError, match="no option 'kimg'"):
        parse(Sample, {"kimg": 2}, "shared", only=("batch",))


def test_options_built_in_python_are_held_to_their_range():
    assert check_options(Sample(batch=2), "gan") == Sample(batch=2)
    with pytest.raises(ConfigError, match=r"gan\.batch is -1"):
        check_options(Sample(batch=-1), "gan")


def test_a_cache_key_leaves_out_what_changes_no_result():
    assert result_values(Sample(device="cpu")) == result_values(Sample(device="cuda"))
    assert result_values(Sample(batch=2)) != result_values(Sample(batch=3))
    assert set(result_values(Sample(), only=("batch", "device"))) == {"batch"}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "kimg": st.one_of(st.none(), st.integers(-3, 5), st.floats(-1, 5, allow_nan=False)),
            "batch": st.one_of(st.integers(-3, 5000), st.floats(0, 9), st.just("16")),
            "augment": st.sampled_from(["ada", "noaug", "no"]),
            "arms": st.lists(st.one_of(st.just("none"), st.integers(0, 1)), max_size=2),
            "stop": st.one_of(st.booleans(), st.just("yes")),
            "other": st.just(1),
        },
    )
)
def test_the_schema_and_parse_agree(values):
    schema = profile_schema({"gan": Sample})
    is_valid = jsonschema.Draft202012Validator(schema).is_valid({"gan": values})
    nulls = [name for name, value in values.items() if value is None and name != "kimg"]
    try:
        parse(Sample, values, "gan")
    except ConfigError:
        assert not is_valid
    else:
        assert is_valid or nulls


def test_every_option_says_what_it_is():
    assert all(info.help.endswith(".") for info in describe_options(Sample))


def test_a_profile_is_merged_group_by_group():
    base = {"gan": {"kimg": 3, "augment": "noaug"}, "mpp": {"a": "1"}}
    assert merge(base, {"gan": {"kimg": 5, "batch": None}, "shared": {"device": "cpu"}}) == {
        "gan": {"kimg": 5, "augment": "noaug"},
        "mpp": {"a": "1"},
        "shared": {"device": "cpu"},
    }
    assert base["gan"]["kimg"] == 3


def test_profiles_that_do_not_exist_or_cannot_be_read(tmp_path):
    assert read_profile("none") == read_profile("") == {}
    with pytest.raises(ConfigError, match="no profile 'dmeo'; did you mean 'demo'"):
        read_profile("dmeo")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "absent.yaml")
    (tmp_path / "torn.yaml").write_text("a: [1\nb: 2\n")
    with pytest.raises(ConfigError, match=r"torn.yaml is not YAML \(line 2\)"):
        read_profile(str(tmp_path / "torn.yaml"))
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="is not a mapping"):
        read_yaml(tmp_path / "list.yaml")
    assert "demo" in profile_names()
