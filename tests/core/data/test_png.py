import io

import numpy as np
import pytest
from PIL import Image

from components.core.data.png import encode_stored_png


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (512, 512), (200, 301)])
def test_other_readers_see_the_pixels(height, width):
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    with Image.open(io.BytesIO(encode_stored_png(pixels))) as image:
        image.verify()  # lengths and checksums of the chunks
    with Image.open(io.BytesIO(encode_stored_png(pixels))) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        assert np.array_equal(image, pixels)


def test_a_view_is_written_as_it_looks():
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    view = pixels[5:30, 7:50:2, ::-1]
    with Image.open(io.BytesIO(encode_stored_png(view))) as image:
        assert np.array_equal(image, view)


def test_nothing_is_compressed():
    assert len(encode_stored_png(np.zeros((100, 100, 3), np.uint8))) > 100 * 100 * 3
