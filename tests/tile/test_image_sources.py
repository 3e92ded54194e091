"""A folder, a zip and a bucket with the same files give the same tiles; hostile and broken ones give a sentence."""

import stat
import struct
import sys
import zipfile
from pathlib import Path

import pytest
from tile_folder import OUTPUTS, ROWS, check_folder, make_folder, tile, write_csv, write_image

from components.core.data.archive import ImageArchive
from components.core.errors import DataError, StoreError, ThyganError
from components.core.store import open_store
from components.tile.image_sources import open_source
from components.tile.images import UnusableImageError

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
pytest_plugins = ["real_s3"]


def zipped(folder, path, top=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, top + file.relative_to(folder).as_posix())
    return path


def uploaded(folder, uri):
    store = open_store(uri)
    for file in folder.rglob("*"):
        if file.is_file():
            store.put(file, file.relative_to(folder).as_posix())
    return uri


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "Hospital")


@pytest.fixture
def manifest(tmp_path, folder):
    return tile(tmp_path / "expected", folder)["manifest"].read_text()


@pytest.mark.parametrize("top", ["", "Hospital/"])
def test_zip_gives_the_folders_tiles(tmp_path, folder, manifest, top):
    path = zipped(folder, tmp_path / "Hospital.zip", top)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/Hospital/._1a.png", b"of another system")
    assert tile(tmp_path / "out", path)["manifest"].read_text() == manifest
    assert {one.name for one in (tmp_path / "out").iterdir()} == {f"{name}{kind}" for name, kind in OUTPUTS.items()}


def test_bucket_gives_the_folders_tiles(tmp_path, folder, manifest, bucket):
    uri = uploaded(folder, f"{bucket}/Hospital")
    for number, source in enumerate((uri, f"{uri}/images", f"{uri}/")):
        assert tile(tmp_path / str(number), source)["manifest"].read_text() == manifest
    assert check_folder(uri)["patients"] == 3


def test_zip_and_labels_may_lie_in_a_bucket(tmp_path, folder, manifest, bucket):
    store = open_store(bucket)
    store.put(zipped(folder, tmp_path / "x.zip"), "in/Hospital.zip")
    store.put(folder / "meta.csv", "labels/meta.csv")
    out = tile(tmp_path / "out", f"{bucket}/in/Hospital.zip", labels=[f"{bucket}/labels/meta.csv"])
    assert out["manifest"].read_text() == manifest


def test_bucket_that_is_not_there(tmp_path, bucket):
    with pytest.raises(DataError, match=r"s3://.* has no image"):
        tile(tmp_path, bucket)
    with pytest.raises(StoreError, match=r"s3://nowhere/x cannot be listed: there is no such bucket"):
        tile(tmp_path, "s3://nowhere/x")


def test_slide_of_two_parts_is_fetched_with_both(tmp_path, bucket):
    """A .mrxs is nothing without the folder of its name."""
    parts = {"a/s.mrxs": b"index", "a/s/Slidedat.ini": b"text", "a/s/Data0000.dat": b"pixels", "a/s2/x.dat": b"other"}
    for name, data in parts.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    sources = [str(zipped(tmp_path / "folder", tmp_path / "x.zip", "top/")), uploaded(tmp_path / "folder", bucket)]
    for number, source in enumerate(sources):
        copy = open_source(source, tmp_path).fetch("a/s.mrxs", tmp_path / str(number))
        beside = copy.with_suffix("")
        assert [one.read_bytes() for one in (copy, beside / "Slidedat.ini", beside / "Data0000.dat")] == [
            b"index",
            b"text",
            b"pixels",
        ]
        assert len(list(copy.parent.rglob("*.*"))) == 3


def test_links_within_a_folder_are_its_images(tmp_path):
    folder = make_folder(tmp_path / "Hospital")
    (folder / "store").mkdir()
    (folder / "images" / "1a.png").rename(folder / "store" / "x.bin")
    (folder / "images" / "1a.png").symlink_to(folder / "store" / "x.bin")
    with ImageArchive(tile(tmp_path, folder)["tiles"]) as archive:
        assert set(archive.manifest["source"]) == {row[0] for row in ROWS}


def link(folder, target):
    (folder / "images" / "1b.png").unlink()
    (folder / "images" / "1b.png").symlink_to(target)


def encrypted(path):
    """Sets the flag of encryption on an entry, in its own header and in the directory."""
    data = bytearray(path.read_bytes())
    for mark, flag_at, name_at in ((b"PK\3\4", 6, 30), (b"PK\1\2", 8, 46)):
        at = data.find(mark)
        while at >= 0:
            if data[at + name_at :].startswith(b"images/1b.png"):
                data[at + flag_at] |= 1
            at = data.find(mark, at + 4)
    path.write_bytes(data)


def corrupt(path):
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("images/1b.png").header_offset
    data = bytearray(path.read_bytes())
    at += 30 + sum(struct.unpack("<HH", data[at + 26 : at + 30])) + 40
    data[at] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (encrypted, "is encrypted in the zip"),
        (corrupt, r"is damaged in the zip \(Bad CRC-32"),
    ],
)
def test_bad_entry_of_a_zip_is_named_or_skipped(tmp_path, folder, spoil, why):
    path = zipped(folder, tmp_path / "Hospital.zip")
    spoil(path)
    with pytest.raises(DataError, match=f"Hospital.zip/images/1b.png {why}"):
        tile(tmp_path / "out", path)
    assert not list((tmp_path / "out").iterdir())
    with ImageArchive(tile(tmp_path / "out", path, skip_bad=True)["tiles"]) as archive:
        assert set(archive.manifest["source"]) == {"1a.png", "2a.png", "3a.png"}


@pytest.mark.parametrize(("target", "why"), [("/etc/hostname", "out of its folder"), ("gone", "to nothing")])
def test_link_elsewhere_is_named_or_skipped(tmp_path, folder, target, why):
    link(folder, target)
    with pytest.raises(DataError, match=f"1b.png is a link {why}"):
        tile(tmp_path / "out", folder)
    with ImageArchive(tile(tmp_path / "out", folder, skip_bad=True)["tiles"]) as archive:
        assert len(set(archive.manifest["source"])) == 3


def entry(name, data=b"", mode=0o644, compressed=zipfile.ZIP_STORED):
    one = zipfile.ZipInfo(name)
    one.external_attr, one.compress_type = mode << 16, compressed
    return one, data


HOSTILE = {
    "path out of the zip": ([entry("../../etc/x.png")], "entry '../../etc/x.png', which leads out of it"),
    "absolute path": ([entry("/etc/x.png")], "leads out of it"),
    "path of another system": ([entry("..\\..\\x.png")], "leads out of it"),
    "drive of another system": ([entry("C:\\x.png")], "leads out of it"),
    "link": ([entry("images/x.png", b"/etc/passwd", stat.S_IFLNK | 0o777)], r"has a link \(images/x.png\)"),
    "bomb": (
        [entry("images/x.png", bytes(200 << 20), compressed=zipfile.ZIP_DEFLATED)],
        "grows from .* to 209,715,200 bytes",
    ),
    "nothing": ([], "has no image"),
}


@pytest.mark.parametrize(("entries", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_zip_is_one_sentence_and_writes_nothing(tmp_path, folder, entries, message):
    path = tmp_path / "h.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for one, data in entries:
            archive.writestr(one, data)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(ThyganError, match=message):
        tile(tmp_path / "out", path, skip_bad=True)
    assert set(tmp_path.rglob("*")) - before <= {tmp_path / "out"}


@pytest.mark.parametrize("data", [b"", b"text", b"PK\3\4 torn"])
def test_file_that_is_no_zip(tmp_path, data):
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"x.zip cannot be read as a zip"):
        tile(tmp_path, tmp_path / "x.zip")


def test_names_of_any_length_and_alphabet(tmp_path):
    """A zip may hold names that no file system holds; its entries are never files of these names."""
    names = ["Müller.png", "甲状腺.png", "a b&<c>'\".png", f"{'long' * 80}.png"]
    with zipfile.ZipFile(tmp_path / "names.zip", "w") as archive:
        for number, name in enumerate(names):
            write_image(tmp_path / "one.png", seed=number)
            archive.write(tmp_path / "one.png", f"images/{name}")
        write_csv(tmp_path / "meta.csv", [(name, n, n % 2, f"D{n % 2}") for n, name in enumerate(names)])
        archive.write(tmp_path / "meta.csv", "meta.csv")
    out = tile(tmp_path / "out", tmp_path / "names.zip")
    with ImageArchive(out["tiles"]) as archive:
        assert set(archive.manifest["source"]) == set(names)
    assert "<c>" not in out["tile_page"].read_text()


def test_link_to_a_folder_elsewhere_is_refused(tmp_path, folder):
    (folder / "images" / "more").symlink_to("/etc")
    with pytest.raises(DataError, match=r"images/more is a link to a folder elsewhere"):
        tile(tmp_path / "out", folder)


def test_nothing_beyond_the_folder_is_fetched(tmp_path):
    make_folder(tmp_path / "a")
    write_image(tmp_path / "b.png")
    with pytest.raises(UnusableImageError, match="out of its folder"):
        open_source(str(tmp_path / "a"), tmp_path).fetch("../b.png", tmp_path)
