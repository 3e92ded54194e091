"""Image archives behind references, on a real S3 server: what is read is what a file gives, or one sentence says why
not; and no more of it comes than is asked for."""

import hashlib
import json
import secrets
import shutil
import zipfile
from dataclasses import asdict, replace
from io import BytesIO

import numpy as np
import pytest

from components.core.cache import publish
from components.core.cache.publish import publish_or_fetch
from components.core.cache.result_cache import ARCHIVE, ARCHIVE_BYTES, CachedResult, ResultCache, describe_artifact
from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.data.archive_reference import (
    ARCHIVES_VARIABLE,
    ArchiveReference,
    download,
    localize,
    read_reference,
)
from components.core.data.content_hash import content_hash
from components.core.errors import ConfigError, DataError, StoreError
from components.core.store import open_store
from tests.chaos.faulty_line import FaultyLine
from tests.core.real_s3 import BUCKET

pytest_plugins = ["tests.core.real_s3"]
TILES, SIDE_PX = 120, 64


@pytest.fixture
def archives(bucket, monkeypatch):
    """The place of archives, empty."""
    monkeypatch.setenv(ARCHIVES_VARIABLE, f"{bucket}/archives")
    return f"{bucket}/archives"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An archive of noise, as no compression makes smaller."""
    path = tmp_path_factory.mktemp("whole") / "tiles.zip"
    write(path)
    return path


def write(path, seed=0):
    rng = np.random.default_rng(seed)
    with ArchiveWriter(path) as archive:
        for number in range(TILES):
            pixels = rng.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
            archive.add(pixels, {"label": number % 2, "patient": str(number // 10), "diagnosis": "FA", "site": "a"})
        archive.attach("classes.json", [{"index": 0, "name": "FA"}])
        archive.attach("records.json", [{"stage": "tile", "seconds": seed}])


@pytest.fixture
def referred(archives, whole, tmp_path):
    """A reference to it, as a stage leaves one."""
    path = tmp_path / "artifact"
    shutil.copyfile(whole, path)
    publish_or_fetch(path)
    return path


def key_of(path):
    return read_reference(path).archive.removeprefix(f"s3://{BUCKET}/")


def test_a_reference_reads_as_the_file_does(referred, whole):
    assert referred.stat().st_size < 1000
    assert content_hash(referred) == content_hash(whole)
    with ImageArchive(referred) as far, ImageArchive(whole) as near:
        assert far.manifest.equals(near.manifest)
        assert (len(far), far.resolution) == (TILES, SIDE_PX)
        assert all(np.array_equal(*pair) for pair in zip(far.images(), near.images(), strict=True))
        some = list(near.manifest["file"].iloc[[7, 3, 3, 99, 100, 101]])
        assert all(np.array_equal(*pair) for pair in zip(far.images(some), near.images(some), strict=True))
        assert far.attachment("classes.json") == near.attachment("classes.json")
        assert far.attachment("none.json") is None
        assert [far.read_bytes(one) for one in some] == [near.read_bytes(one) for one in some]
        with pytest.raises(DataError, match="lacks the entry 'none'"):
            far.read_bytes("none")
        with pytest.raises(DataError, match="lacks the entry 'none'"):
            list(far.images(["none"]))


def test_no_more_comes_than_is_asked_for(referred, monkeypatch, whole):
    from components.core.data import zip_reader as module

    monkeypatch.setattr(module, "_BLOCK_BYTES", 4 * 12_400)
    monkeypatch.setattr(module, "_GAP_BYTES", 0)
    size = whole.stat().st_size
    with ImageArchive(referred) as far:
        opened = far._entries._remote.fetched_bytes
        assert opened < 64 << 10 << 1
        files = list(far.manifest["file"])
        chosen = sum(len(far.read_bytes(file)) for file in files[20:30])
        far._entries._remote.fetched_bytes = 0
        assert len(list(far.images(files[20:30]))) == 10
        assert chosen <= far._entries._remote.fetched_bytes < 1.02 * chosen
        far._entries._remote.fetched_bytes = 0
        assert len(list(far.images())) == TILES
        # The end of the file is held from the start
        assert 0.8 * size < far._entries._remote.fetched_bytes < 1.02 * size


def test_the_same_archive_lies_there_once_and_is_made_young_again(referred, whole, archives, monkeypatch, tmp_path, s3):
    store = open_store(archives)
    [entry] = store.list()
    again = tmp_path / "again"
    shutil.copyfile(whole, again)
    publish_or_fetch(again)
    assert again.read_bytes() == referred.read_bytes()
    assert [one.version for one in store.list()] == [entry.version]
    with ImageArchive(referred) as reader:
        before = s3.client().stat_object(BUCKET, key_of(referred)).last_modified
        monkeypatch.setattr(publish, "RENEW_AFTER_S", -1.0)
        while s3.client().stat_object(BUCKET, key_of(referred)).last_modified == before:
            publish_or_fetch(again)  # stamps are whole seconds
        assert len(list(reader.images())) == TILES, "a reader goes on over a renewal"
    assert store.status(entry.name).sha256 == read_reference(referred).sha256


def test_a_reference_comes_back_as_its_archive(referred, whole, monkeypatch, tmp_path):
    download(read_reference(referred), tmp_path / "back.zip")
    assert (tmp_path / "back.zip").read_bytes() == whole.read_bytes()
    (tmp_path / "scratch").mkdir()
    assert localize(whole, tmp_path / "scratch") == whole
    assert localize(referred, tmp_path / "scratch").read_bytes() == whole.read_bytes()
    monkeypatch.delenv(ARCHIVES_VARIABLE)
    with pytest.raises(ConfigError, match=f"a reference to s3://.*zip: set {ARCHIVES_VARIABLE} to the place"):
        ImageArchive(referred)
    publish_or_fetch(referred)
    assert referred.read_bytes() == whole.read_bytes()


def test_other_files_stay_as_they_are(archives, tmp_path):
    files = {"a.json": b'{"format": 3}', "b.csv": b"a,b\n", "c.json": b"[1]", "d.json": b'{"format": "other"}'}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as other:
        other.writestr("x", b"y")
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir() if one.is_file()}
    assert [publish_or_fetch(tmp_path / name) for name in [*before, "absent", "."]] == [None] * (len(before) + 2)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir() if one.is_file()} == before
    assert open_store(archives).list() == []


def changed(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_forged_reference_is_not_followed(referred, archives, monkeypatch, tmp_path, s3):
    true = read_reference(referred)
    elsewhere = f"s3://{BUCKET}/elsewhere-{secrets.token_hex(3)}/{true.name}"
    for address in (elsewhere, f"s3://thygan-nowhere/{true.name}", f"{archives}/../x/{true.name}"):
        changed(referred, archive=address)
        with pytest.raises(DataError, match=r"which is not in .*THYGAN_ARCHIVES.*: it is not followed"):
            ImageArchive(referred)
    unsound = [
        {"archive": f"http://169.254.169.254/{true.name}"},
        {"archive": f"file:///etc/{true.name}"},
        {"archive": f"{archives}/other.zip"},
        {"archive": f"{archives}\n/{true.name}"},
        {"archive": 3},
        {"sha256": "../../x"},
        {"bytes": -1},
        {"bytes": True},
        {"content": ""},
        {"more": 1},
        {"format": "thygan image archive elsewhere, 2"},
    ]
    for values in unsound:
        referred.write_text(json.dumps({**asdict(true), **values}))
        for use in (ImageArchive, content_hash, publish_or_fetch):
            with pytest.raises(DataError, match="is not a valid reference") as refused:
                use(referred)
            assert "\n" not in str(refused.value)
    referred.write_text(json.dumps(asdict(true)))
    other = write_other(tmp_path)
    for lie in (replace(true, bytes=true.bytes - 1), replace(true, content=content_hash(other))):
        referred.write_text(json.dumps(asdict(lie)))
        with pytest.raises(
            DataError, match=r"is not the object that was uploaded|differs from the content hash in its reference"
        ):
            ImageArchive(referred)


def write_other(folder):
    write(folder / "other.zip", seed=9)
    return folder / "other.zip"


def test_an_archive_that_becomes_another(referred, tmp_path, s3):
    """Same name, another's bytes: refused when it is opened, and while it is read."""
    other, name = write_other(tmp_path), key_of(referred)
    true = read_reference(referred)
    with ImageArchive(referred) as reader:
        files = list(reader.manifest["file"])
        reader.read(files[0])
        s3.client().fput_object(BUCKET, name, str(other))
        with pytest.raises(DataError, match=r"is not the object that was uploaded .*: remove it, and run the stage"):
            reader.read(files[1])
    with pytest.raises(DataError, match="is not the object that was uploaded"):
        ImageArchive(referred)
    assert true.bytes == other.stat().st_size, "told by more than its size"
    claims = {"sha256": true.sha256}
    s3.client().fput_object(BUCKET, name, str(other), metadata=claims)
    with pytest.raises(DataError, match="differs from the content hash in its reference"):
        ImageArchive(referred)


def test_a_forged_image_behind_the_true_checksum(referred, whole, s3):
    """An image with its own CRC in the directory changes the content; one with the true CRC's is damaged."""
    data = bytearray(whole.read_bytes())
    with zipfile.ZipFile(whole) as opened:
        entry = opened.infolist()[5]
    data[entry.header_offset + 2000] ^= 1
    true = {"sha256": read_reference(referred).sha256}
    s3.client().put_object(BUCKET, key_of(referred), BytesIO(bytes(data)), len(data), metadata=true)
    with ImageArchive(referred) as reader:
        reader.read(reader.manifest["file"][4])
        with pytest.raises(DataError, match=r"00000/img00000005.png' in s3://.* is damaged"):
            reader.read(reader.manifest["file"][5])
        with pytest.raises(DataError, match=r"00000/img00000005.png' in s3://.* is damaged"):
            list(reader.images())


def test_an_archive_that_is_gone(referred, archives):
    open_store(archives).delete(read_reference(referred).name)
    for use in (ImageArchive, publish_or_fetch):
        with pytest.raises(StoreError, match=r"zip does not exist: correct the bucket .* or run the stage that writes"):
            use(referred)
    assert content_hash(referred)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "denies access with these credentials|the store answers"),
        ({"AWS_ACCESS_KEY_ID": ""}, "no credentials: set AWS_ACCESS_KEY_ID"),
        ({"THYGAN_S3_ENDPOINT": "http://127.0.0.1:9"}, "does not answer as it should"),
        ({ARCHIVES_VARIABLE: "somewhere"}, "THYGAN_ARCHIVES is 'somewhere': write s3://bucket/prefix"),
    ],
)
def test_a_store_that_refuses_is_one_sentence(referred, monkeypatch, variables, sentence, s3):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("components.core.data.archive_reference.open_store", lambda uri: open_store(uri, retries=1))
    with pytest.raises((StoreError, ConfigError), match=sentence) as refused:
        ImageArchive(referred)
    assert s3.secret not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.fixture
def faulty_line(referred, s3, monkeypatch):
    line = FaultyLine(s3.host)
    monkeypatch.setenv("THYGAN_S3_ENDPOINT", f"http://{line.host}")
    yield line
    line.close()


@pytest.mark.parametrize(("fault", "times"), [("cut", 2), ("flip", 1), ("busy", 2), ("down", 2)])
def test_a_bad_line_changes_nothing(referred, whole, faulty_line, fault, times):
    with ImageArchive(referred) as far, ImageArchive(whole) as near:
        faulty_line.fault, faulty_line.times, faulty_line.done = fault, times, 0
        far._entries._remote._store._client._http.clear()  # faults are a connection's
        assert all(np.array_equal(*pair) for pair in zip(far.images(), near.images(), strict=True))
        assert faulty_line.done == times


def test_a_line_that_is_always_cut_is_one_sentence(referred, faulty_line):
    with ImageArchive(referred) as far:
        faulty_line.fault = "cut"
        far._entries._remote._store._client._http.clear()
        with pytest.raises(StoreError, match=r"cannot be read: the store at .* does not answer as it should"):
            list(far.images())


def test_reading_stops_when_the_reader_does(referred):
    with ImageArchive(referred) as far:
        images = far.images()
        next(images)
        images.close()
        assert len(list(far.images(far.manifest["file"][:3]))) == 3


def test_hostile_zips_in_a_place_of_archives(archives, tmp_path, s3):
    """What lies there may be anybody's: no zip, one without a manifest, one cut short."""
    store = open_store(archives)
    bad = {"text": b"no zip at all" * 10, "empty": b"PK\x05\x06" + bytes(18)}
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("x", b"y")
    bad["other"] = (tmp_path / "other.zip").read_bytes()
    for name, data in bad.items():
        file = tmp_path / name
        file.write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        store.put(file, f"{sha256}.zip")
        forged = ArchiveReference(f"{store.uri}/{sha256}.zip", len(data), sha256, "0" * 64)
        file.write_text(json.dumps(asdict(forged)))
        with pytest.raises(DataError, match="is not an image archive"):
            ImageArchive(file)


def test_a_result_whose_archive_is_gone_is_none(referred, archives, bucket, tmp_path):
    """Rules of a bucket may take an archive; what named it is made again."""
    reference = read_reference(referred)
    known = {ARCHIVE: reference.archive, ARCHIVE_BYTES: reference.bytes}
    artifact = describe_artifact(referred, "system.TileSet", f"{bucket}/p/1/tile/0/tiles", known)
    assert artifact.content == reference.content
    assert artifact.size_bytes == referred.stat().st_size + reference.bytes
    made = CachedResult("tile", "p/1", "p/1/tile/0", "k", "src-1", "2026-01-01T00:00:00Z", {}, {}, {"tiles": artifact})
    ResultCache(bucket).keep(made, {"tiles": referred}, upload=True)
    found = ResultCache(bucket).find("tile", "k")
    ResultCache(bucket).fetch(found, {"tiles": tmp_path / "back"})
    assert (tmp_path / "back").read_bytes() == referred.read_bytes()
    open_store(archives).delete(reference.name)
    assert ResultCache(bucket).find("tile", "k") is None
