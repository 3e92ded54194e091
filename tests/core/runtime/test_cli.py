"""A stage's command line: what it offers, what it hands to `run`, how it names a wrong option."""

from dataclasses import dataclass
from typing import Any

import pytest

from components.core.errors import ConfigError
from components.core.options.fields import option
from components.core.options.shared import SharedOptions
from components.core.runtime.cli import stage_app


@dataclass(frozen=True)
class SampleOptions:
    """The group `sample`."""

    kimg: float | None = option(None, "Training length, thousands of real images; left out = the preset's.", low=0)
    batch: int = option(32, "Images of a step.", low=1, high=4096)
    augment: str = option("ada", "What the discriminator sees.", choices=("ada", "noaug"))
    licences: dict[str, str] = option({}, "Licence of each site.")
    tags: tuple[str, ...] = option((), "Words.")
    stop_on_collapse: bool = option(True, "End a training whose images became one.")


def _call(arguments: str, shared: tuple[str, ...] = ("device", "tile_level")) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def run(
        *,
        tiles: str,
        seed: int = 0,
        mpp: dict[str, str] | None = None,
        options: SampleOptions = SampleOptions(),
        shared: SharedOptions = SharedOptions(),  # noqa: B008
    ) -> None:
        """Samples tiles.

        Args:
            tiles: TileSet to read.
            seed: Seed of the sample.
            mpp: Micrometres per pixel of each site.
            options: The group `sample`.
            shared: The group `shared`.
        """
        seen.update(tiles=tiles, seed=seed, mpp=mpp, options=options, shared=shared)

    stage_app(run, "sample", SampleOptions, shared)(
        arguments.split(), result_action="return_value", exit_on_error=False, print_error=False
    )
    return seen


def test_what_is_not_stated_keeps_its_default():
    seen = _call("--tiles t.zip")
    assert seen == {
        "tiles": "t.zip",
        "seed": 0,
        "mpp": None,
        "options": SampleOptions(),
        "shared": SharedOptions(),
    }


def test_stated_values_reach_options_shared_ones_and_paths():
    seen = _call(
        "--tiles t.zip --mpp a=0.5 b=0.25 --seed 3 --kimg 5 --batch 16 --augment noaug --licences a=CC0 "
        "--tags x y --no-stop-on-collapse --device cpu --tile-level s1 s2"
    )
    assert seen["mpp"] == {"a": "0.5", "b": "0.25"} and seen["seed"] == 3
    assert seen["options"] == SampleOptions(5.0, 16, "noaug", {"a": "CC0"}, ("x", "y"), False)
    assert seen["shared"] == SharedOptions(device="cpu", tile_level=("s1", "s2"))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("--batch 0", "--batch is 0: give a whole number, 1 to 4096"),
        ("--kimg -1", "--kimg is -1.0: give a number, at least 0"),
        ("--licences CC0", "--licences CC0: write it as --licences SITE=VALUE"),
    ],
)
def test_a_wrong_value_is_named_as_the_shell_names_it(wrong: str, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        _call("--tiles t.zip " + wrong)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("--augment sometimes", "ada.*noaug"),
        ("--batches 8", "Did you mean --batch"),
        ("--checkpoint-uri here", "Unknown option"),  # a shared option that this stage does not read
    ],
)
def test_an_unknown_option_or_choice_is_answered_with_what_there_is(wrong: str, sentence: str):
    with pytest.raises(Exception, match=sentence):
        _call("--tiles t.zip " + wrong)


def test_help_shows_range_and_default(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    stage_app(lambda *, tiles: None, "sample", SampleOptions)(["--help"], result_action="return_value")
    text = " ".join(capsys.readouterr().out.split())
    assert "--batch INT Images of a step. Range: 1 to 4096. [default: 32]" in text
    assert "--augment CHOICE What the discriminator sees. [choices: ada, noaug] [default: ada]" in text
    assert "--stop-on-collapse --no-stop-on-collapse" in text and "[default: yes]" in text
    assert "left out = the preset's. Range: at least 0." in text
