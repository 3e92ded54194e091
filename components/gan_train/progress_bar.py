"""How far a training is: a bar on a terminal, a line every few seconds anywhere else."""

import time

from tqdm import tqdm

from components.core.runtime.progress import LINE_SECONDS, log, shows_bars
from components.gan_train.training_loop import Row


class ProgressBar:
    """Shows kimg, sec/kimg, the time left, ADA's p and memory."""

    def __init__(self, what: str, kimg: float, begin_kimg: float) -> None:
        """Begins at `begin_kimg` of `kimg`; `what` is a short phrase."""
        self._what, self._kimg, self._begin, self._done = what, kimg, begin_kimg, begin_kimg
        self._started = self._shown = time.monotonic()
        self._rest = ""
        self._bar = None
        if shows_bars():
            self._bar = tqdm(desc=what, total=kimg, initial=begin_kimg, unit=" kimg", dynamic_ncols=True)

    def show(self, kimg: float, row: Row | None = None) -> None:
        """Takes how far it is, and a tick's row where one ended."""
        if row is not None:
            self._rest = f", {row['sec_per_kimg']:.3g} s/kimg, p {row['augment_p']:.2f}, {row['memory_gb']:.1f} GB"
            if row["lost_steps"]:
                self._rest += f", gradients were no numbers in {row['lost_steps']:.0%} of a phase's steps"
        if self._bar is not None:
            self._bar.set_postfix_str(self._rest.removeprefix(", "), refresh=False)
            self._bar.update(kimg - self._done)
        elif (now := time.monotonic()) - self._shown >= LINE_SECONDS:
            self._shown = now
            left = duration((self._kimg - kimg) * (now - self._started) / (kimg - self._begin))
            log(f"{self._what}: {kimg:.4g} of {self._kimg:g} kimg, about {left} left{self._rest}")
        self._done = kimg

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()


def duration(seconds: float) -> str:
    """In the two units that matter."""
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} {seconds % size // part:.0f} {smaller}"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{max(seconds, 0):.0f} s"
