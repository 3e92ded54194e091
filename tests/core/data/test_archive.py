"""The image archive: what is written is read back, and what is no archive is one sentence."""

import hashlib
import io
import zipfile
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.data.content_hash import content_hash
from components.core.data.images import decode, encode_png
from components.core.data.manifest import COLUMNS, convert_types
from components.core.errors import DataError, ThyganError
from components.core.runtime.prefetch import prefetch_map

SIDE = 8
FIRST, SECOND = "00000/img00000000.png", "00000/img00000001.png"


def image(seed, height=SIDE, width=SIDE):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def archive(tmp_path):
    with ArchiveWriter(tmp_path / "tiles.zip") as writer:
        for seed in range(3):
            writer.add(image(seed), {"label": seed % 2, "patient": f"Ünïcode {seed}", "source": "long" * 200})
        writer.attach("notes.json", {"a": 1})
    return tmp_path / "tiles.zip"


@pytest.fixture
def altered(archive):
    """Writes the archive anew: entries replaced, dropped (None) or added; returns its path."""

    def write(entries, **options):
        with zipfile.ZipFile(archive) as old:
            content = {name: old.read(name) for name in old.namelist()} | entries
        with zipfile.ZipFile(archive, "w", **options) as new:
            for name, data in content.items():
                if data is not None:
                    new.writestr(name, data)
        return archive

    return write


def test_what_is_written_is_read_back(archive):
    with ImageArchive(archive) as read:
        assert [np.array_equal(pixels, image(seed)) for seed, pixels in enumerate(read.images())] == [True] * 3
        assert np.array_equal(next(read.images([SECOND])), image(1))
        assert list(read.manifest["patient"]) == ["Ünïcode 0", "Ünïcode 1", "Ünïcode 2"]
        assert read.manifest["source"].iloc[0] == "long" * 200
        assert (read.attachment("notes.json"), read.attachment("none.json"), read.resolution) == ({"a": 1}, None, SIDE)


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 8), (7, 300), (260, 90)])
def test_png_of_any_level_is_read_by_another_reader(level, height, width):
    pixels = image(0, height, width)
    data = encode_png(pixels, level)
    assert np.array_equal(decode(data), pixels)
    if level == 0:  # one IDAT chunk, read without Pillow too: each row is filter 0 and its pixels
        length = int.from_bytes(data[33:37])
        assert data[37:41] == b"IDAT"
        assert zlib.decompress(data[41 : 41 + length]) == b"".join(b"\0" + row.tobytes() for row in pixels)
        assert len(data) > pixels.nbytes


def encoded(mode, form="PNG"):
    buffer = io.BytesIO()
    Image.new(mode, (SIDE, SIDE)).save(buffer, form)
    return buffer.getvalue()


def first_row_of(data, column, value):
    table = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)
    table.loc[0, column] = value
    return table.to_csv(index=False).encode()


def read_all(path):
    with ImageArchive(path) as archive:
        return [*archive.images(), archive.attachment("notes.json")]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        pytest.param({"manifest.csv": None}, "is not an image archive .no manifest.csv", id="no manifest"),
        pytest.param({"manifest.csv": b""}, "is not a manifest .No columns", id="empty manifest"),
        pytest.param({"manifest.csv": b"file,label\n"}, "lacks the columns patient, case", id="columns"),
        pytest.param({"manifest.csv": b"\xff\xfe\x00"}, "is not a manifest", id="no text"),
        pytest.param({FIRST: None}, f"lacks the entry '{FIRST}'", id="lost entry"),
        pytest.param({FIRST: b""}, f"'{FIRST}' in .* is not an image", id="zero size"),
        pytest.param({FIRST: encode_png(image(0))[:60]}, f"'{FIRST}' in .* cannot be decoded", id="truncated image"),
        pytest.param({FIRST: encoded("CMYK", "JPEG")}, "has the mode CMYK, not 8-bit RGB", id="CMYK"),
        pytest.param({FIRST: encoded("I;16")}, "has the mode I;16, not 8-bit RGB", id="16 bit"),
        pytest.param({FIRST: encoded("P")}, "has the mode P, not 8-bit RGB", id="palette"),
        pytest.param({FIRST: encoded("RGBA")}, "has the mode RGBA, not 8-bit RGB", id="alpha"),
        pytest.param({"notes.json": b"{"}, "notes.json in .* is not valid JSON", id="torn JSON"),
    ],
)
def test_bad_entries_are_one_sentence(altered, entries, message):
    with pytest.raises(DataError, match=message):
        read_all(altered(entries))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label", "one", "manifest.csv in .* has the label 'one' in row 1, which is not a whole number"),
        ("label", "0.5", "has the label '0.5' in row 1, which is not a whole number"),
        ("label", "inf", "has the label 'inf' in row 1"),
        ("mpp", "20x", "has the mpp '20x' in row 1, which is not a number"),
        ("file", SECOND, f"lists '{SECOND}' twice"),
        ("file", "../../etc/passwd", r"lacks the entry '\.\./\.\./etc/passwd'"),
        ("file", "/etc/passwd", "lacks the entry '/etc/passwd'"),
    ],
)
def test_bad_manifest_values_are_one_sentence(archive, altered, column, value, message):
    with zipfile.ZipFile(archive) as read:
        changed = first_row_of(read.read("manifest.csv"), column, value)
    with pytest.raises(DataError, match=message):
        read_all(altered({"manifest.csv": changed}))


def test_traversing_entry_names_are_keys_and_no_paths(tmp_path, altered, archive):
    with zipfile.ZipFile(archive) as read:
        manifest = first_row_of(read.read("manifest.csv"), "file", "../outside.png")
    path = altered({"manifest.csv": manifest, "../outside.png": encode_png(image(5))})
    assert np.array_equal(read_all(path)[0], image(5))
    assert list(tmp_path.iterdir()) == [path]
    assert not (tmp_path.parent / "outside.png").exists()


def test_damaged_bytes_are_noticed(archive):
    data = bytearray(archive.read_bytes())
    data[200] ^= 1
    archive.write_bytes(data)
    with pytest.raises(DataError, match=f"'{FIRST}' in .* is damaged .Bad CRC-32"):
        read_all(archive)


def test_a_name_that_is_no_text_is_refused(archive):
    data = bytearray(archive.read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 9] |= 8  # the name is UTF-8
    data[directory + 46] = 0xF6  # and is not
    archive.write_bytes(data)
    with pytest.raises(DataError, match=r"is not an image archive \('utf-8' codec can't decode"):
        read_all(archive)
    assert content_hash(archive) == hashlib.sha256(data).hexdigest()


def test_encrypted_entries_are_refused(archive):
    data = bytearray(archive.read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 8] |= 1  # bit 0 of the flags in the central directory
    archive.write_bytes(data)
    with pytest.raises(DataError, match=f"'{FIRST}' in .* is encrypted: write the archive without a password"):
        read_all(archive)


def test_an_entry_that_would_fill_memory_is_refused(archive):
    data = bytearray(archive.read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (2**31).to_bytes(4, "little")  # uncompressed size
    archive.write_bytes(data)
    with pytest.raises(DataError, match="claims 2,147,483,648 bytes, above the limit of 1,073,741,824"):
        read_all(archive)


def test_images_of_too_many_pixels_are_refused(altered):
    small = encode_png(image(0))
    header = b"IHDR" + 2 * (2**15).to_bytes(4) + small[24:29]
    bomb = small[:12] + header + zlib.crc32(header).to_bytes(4) + small[33:]
    with pytest.raises(DataError, match=r"cannot be decoded \(Image size \(1073741824 pixels\) exceeds limit"):
        read_all(altered({FIRST: bomb}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There is no archive"),
        (b"", "is not an image archive"),
        (b"PK\x03\x04 but no more", "is not an image archive"),
    ],
)
def test_what_is_no_zip_is_one_sentence(tmp_path, content, message):
    path = tmp_path / "tiles.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        ImageArchive(path)
    with pytest.raises(DataError, match="is not an image archive"):
        ImageArchive(tmp_path)


def test_truncated_archive_is_one_sentence(archive):
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(DataError, match="is not an image archive"):
        ImageArchive(archive)


def test_an_error_in_the_block_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), ArchiveWriter(tmp_path / "tiles.zip") as writer:
        writer.add(image(0), {"label": 0})
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_an_unusable_row_leaves_nothing(tmp_path):
    with pytest.raises(ThyganError, match="not a whole number"), ArchiveWriter(tmp_path / "tiles.zip") as writer:
        writer.add(image(0), {"label": "one"})
    assert list(tmp_path.iterdir()) == []


def test_work_ahead_keeps_order_and_stays_a_few_items_ahead():
    started = []

    def work(item):
        started.append(item)
        return -item

    results = prefetch_map(work, iter(range(1000)))
    assert [next(results) for _ in range(10)] == [-item for item in range(10)]
    assert len(started) < 100
    results.close()
    assert list(prefetch_map(work, [])) == []


def test_missing_values_are_typed_as_missing():
    table = convert_types(pd.DataFrame([dict.fromkeys(COLUMNS, value) for value in ("", None, np.nan, "nan", "NA")]))
    assert table["label"].isna().all()
    assert table["mpp"].isna().all()
    assert (str(table["label"].dtype), str(table["mpp"].dtype)) == ("Int64", "float64")
    assert list(table["patient"])[:3] == ["", "", ""]
