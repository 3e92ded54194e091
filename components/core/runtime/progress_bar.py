"""Progress towards a target amount: a bar on a terminal, a line every few seconds anywhere else."""

import time

from tqdm import tqdm

from components.core.runtime.progress import LINE_SECONDS, log, shows_bars


class ProgressBar:
    """Shows the amount done, the time left, and a note."""

    def __init__(self, title: str, total: float, start: float, unit: str) -> None:
        """Starts the clock.

        Args:
            title: Short phrase, for example "fold 0 · binary: training".
            total: Amount at the end.
            start: Amount done already.
            unit: Unit of the amounts, for example "kimg".
        """
        self._title, self._total, self._start, self._done, self._unit = title, total, start, start, unit
        self._started_s = self._shown_s = time.monotonic()
        self._note = ""
        self._bar = None
        if shows_bars():
            self._bar = tqdm(desc=title, total=total, initial=start, unit=f" {unit}", dynamic_ncols=True)

    def show(self, done: float, note: str | None = None) -> None:
        """Updates the bar.

        Args:
            done: Amount done so far, more than `start`.
            note: Text behind the amounts; None = the last one stays.
        """
        if note is not None:
            self._note = note
        if self._bar is not None:
            self._bar.set_postfix_str(self._note, refresh=False)
            self._bar.update(done - self._done)
        elif (now_s := time.monotonic()) - self._shown_s >= LINE_SECONDS:
            self._shown_s = now_s
            left = _duration((self._total - done) * (now_s - self._started_s) / (done - self._start))
            note = f", {self._note}" if self._note else ""
            log(f"{self._title}: {done:.4g} of {self._total:g} {self._unit}, about {left} left{note}")
        self._done = done

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()


def _duration(seconds: float) -> str:
    """A duration in its two largest units."""
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} {seconds % size // part:.0f} {smaller}"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{max(seconds, 0):.0f} s"
