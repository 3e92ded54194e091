import base64
import io

import numpy as np
from PIL import Image

from components.core.html.palette import colours
from components.core.html.pictures import data_uri, image_grid, thumbnail


def flat(value, side=4):
    return np.full((side, side, 3), value, np.uint8)


def decoded(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))


def test_grid_places_images_row_by_row_on_white():
    grid = image_grid([flat(10), flat(20), flat(30)], columns=2, gap_px=1)
    assert grid.shape == (9, 9, 3)
    assert (grid[0, 0] == 10).all() and (grid[0, 5] == 20).all() and (grid[5, 0] == 30).all()
    assert (grid[4] == 255).all() and (grid[5:, 5:] == 255).all()


def test_grid_is_no_wider_than_its_images():
    assert image_grid([flat(1)], columns=4).shape == (4, 4, 3)


def test_data_uri_holds_the_image():
    image = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    uri = data_uri(image)
    assert uri.startswith("data:image/png;base64,")
    assert (np.array(decoded(uri)) == image).all()


def test_thumbnail_is_a_small_jpeg():
    picture = decoded(thumbnail(flat(90, 512)))
    assert (picture.format, picture.size) == ("JPEG", (40, 40))
    assert abs(int(np.array(picture).mean()) - 90) <= 1


def test_colours_differ_however_many_there_are():
    for count in (3, 8, 9, 150):
        names = [f"name {place}" for place in range(count)]
        found = colours(names)
        assert list(found) == names and len(set(found.values())) == count
