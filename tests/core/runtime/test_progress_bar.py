"""A line of progress states what is done, what is left, and the last note."""

import pytest

from components.core.runtime import progress_bar
from components.core.runtime.progress_bar import ProgressBar


@pytest.fixture
def clock(monkeypatch):
    """Seconds of the bar's clock, which moves when a test moves it."""
    now = [100.0]
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress_bar, "shows_bars", lambda: False)
    return now


def test_a_line_states_amount_time_left_and_the_last_note(clock, capsys):
    bar = ProgressBar("fold 0: training", 100.0, 20.0, "kimg")
    clock[0] += 5
    bar.show(21.0)
    assert capsys.readouterr().out == ""
    clock[0] += 5
    bar.show(22.0, "p 0.30")
    assert capsys.readouterr().out == "fold 0: training: 22 of 100 kimg, about 6 min left, p 0.30\n"
    clock[0] += 90
    bar.show(40.0)
    bar.close()
    assert capsys.readouterr().out == "fold 0: training: 40 of 100 kimg, about 5 min left, p 0.30\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (3600, "1 h 0 min"), (90000, "1 d 1 h"), (-1, "0 s")],
)
def test_durations_have_their_two_largest_units(seconds, text):
    assert progress_bar._duration(seconds) == text
