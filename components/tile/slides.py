"""Whole slides of any format: their um/px, an overview, and a rectangle at any um/px."""

import math

import numpy as np
from PIL import Image

from components.core.data.images import Pixels
from components.tile.coords import LANCZOS
from components.tile.slide_reader import Magnification, SlideReader

_BLOCK_PX = 4096


class Slide:
    """An open slide on top of its format's reader; any thread may use it.

    Attributes:
        size_px: Width and height at full resolution.
        fingerprint: Text that is equal for equal content.
    """

    def __init__(self, reader: SlideReader) -> None:
        self._reader = reader
        self.size_px = reader.level_sizes[0]
        self.fingerprint = reader.fingerprint

    def magnification(self) -> Magnification:
        """From its metadata; see `SlideReader.magnification`."""
        return self._reader.magnification()

    def overview(self, max_px: int) -> Image.Image:
        """The whole slide, the longer side at most `max_px`, averaged block by block in constant memory."""
        level = self._best_level(max(self.size_px) / max_px)
        width, height = self._reader.level_sizes[level]
        factor = math.ceil(max(width, height) / max_px)
        block = max(1, _BLOCK_PX // factor) * factor
        overview = Image.new("RGB", (math.ceil(width / factor), math.ceil(height / factor)))
        for top in range(0, height, block):
            for left in range(0, width, block):
                size = min(block, width - left), min(block, height - top)
                pixels = self._reader.read(level, left, top, size)
                overview.paste(pixels.reduce(factor), (left // factor, top // factor))
        return overview

    def region(self, x: float, y: float, size_px: tuple[float, float], out_px: tuple[int, int]) -> Pixels:
        """A rectangle, resampled (Lanczos) from the pyramid's next finer level.

        Args:
            x: Left edge, pixels at full resolution.
            y: Top edge, pixels at full resolution.
            size_px: Width and height, pixels at full resolution.
            out_px: Width and height to return, pixels.

        Returns:
            [H, W, 3].
        """
        level = self._best_level(min(size_px[0] / out_px[0], size_px[1] / out_px[1]))
        downsample = self._reader.level_downsamples[level]
        left, top = x / downsample, y / downsample
        right, bottom = (x + size_px[0]) / downsample, (y + size_px[1]) / downsample
        column, row = math.floor(left), math.floor(top)
        pixels = self._reader.read(level, column, row, (math.ceil(right) - column, math.ceil(bottom) - row))
        box = (left - column, top - row, right - column, bottom - row)
        return np.asarray(pixels.resize(out_px, LANCZOS, box=box) if pixels.size != out_px else pixels)

    def close(self) -> None:
        """Closes the file."""
        self._reader.close()

    def _best_level(self, downsample: float) -> int:
        """The coarsest level that is at least as fine as `downsample`; else the finest."""
        downsamples = self._reader.level_downsamples
        return max((level for level, of_level in enumerate(downsamples) if of_level <= downsample), default=0)
