"""Whole slides for tests: tiled pyramidal TIFFs, written from the TIFF 6.0 specification, that OpenSlide reads."""

import struct

import numpy as np

TILE_PX = 64
_TEXT, _SHORT, _LONG, _RATIONAL = 2, 3, 4, 5
_CODES = {_TEXT: "B", _SHORT: "H", _LONG: "I", _RATIONAL: "I"}


def write_slide(path, pixels, levels=1, mpp=None, description="", torn_tile=None):
    """Writes `pixels` [H, W, 3] and its halvings (means of 2x2) as one slide; returns the levels.

    The address of `torn_tile`, if one is given, leads out of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    pyramid = [np.asarray(pixels, np.uint8)]
    for _ in range(levels - 1):
        pyramid.append(halved(pyramid[-1]))
    data, at = bytearray(b"II*\0\0\0\0\0"), 4
    for depth, level in enumerate(pyramid):
        at = _append(data, at, level, depth, mpp, description, torn_tile)
    path.write_bytes(data)
    return pyramid


def halved(pixels):
    """Means of 2x2."""
    height, width = (side // 2 * 2 for side in pixels.shape[:2])
    squares = pixels[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
    return squares.mean((1, 3)).round().astype(np.uint8)


def tissue(width, height, boxes, seed=0):
    """White glass with purple grainy rectangles (left, top, right, bottom)."""
    pixels = np.full((height, width, 3), 245, np.uint8)
    grain = np.random.default_rng(seed).integers(-25, 25, (height, width, 1))
    for left, top, right, bottom in boxes:
        box = np.s_[top:bottom, left:right]
        pixels[box] = np.array((150, 80, 160)) + grain[box]
    return pixels


def _append(data, link_at, level, depth, mpp, description, torn_tile):
    """Appends a level's tiles and its directory; returns where the next directory's address belongs."""
    height, width, _ = level.shape
    padded = np.pad(level, ((0, -height % TILE_PX), (0, -width % TILE_PX), (0, 0)))
    offsets = []
    for y in range(0, height, TILE_PX):
        for x in range(0, width, TILE_PX):
            offsets.append(len(data))
            data += padded[y : y + TILE_PX, x : x + TILE_PX].tobytes()
    if torn_tile is not None:
        offsets[torn_tile] = 2**31
    tags = [
        (254, _LONG, [int(depth > 0)]),  # a reduced image
        (256, _LONG, [width]),
        (257, _LONG, [height]),
        (258, _SHORT, [8, 8, 8]),
        (259, _SHORT, [1]),  # no compression
        (262, _SHORT, [2]),  # RGB
        *([(270, _TEXT, [*description.encode(), 0])] if description else []),
        (277, _SHORT, [3]),
        *([(282, _RATIONAL, [round(1e7 / mpp), 1000]), (283, _RATIONAL, [round(1e7 / mpp), 1000])] if mpp else []),
        *([(296, _SHORT, [3])] if mpp else []),  # per centimetre
        (322, _SHORT, [TILE_PX]),
        (323, _SHORT, [TILE_PX]),
        (324, _LONG, offsets),
        (325, _LONG, [TILE_PX * TILE_PX * 3] * len(offsets)),
    ]
    entries = b""
    for tag, kind, values in tags:
        code = _CODES[kind]
        count = len(values) // 2 if kind == _RATIONAL else len(values)
        packed = struct.pack(f"<{len(values)}{code}", *values)
        if len(packed) > 4:
            where = len(data)
            data += packed
            packed = struct.pack("<I", where)
        entries += struct.pack("<HHI", tag, kind, count) + packed.ljust(4, b"\0")
    here = len(data)
    data[link_at : link_at + 4] = struct.pack("<I", here)
    data += struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"
    return len(data) - 4
