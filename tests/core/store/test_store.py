"""Stores: a folder and a bucket of a real server keep the same promises, whatever dies or lies on the way."""

import hashlib
import os
import random
import re
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest

from components.core.checkpoint.upload_queue import UploadQueue
from components.core.errors import ConfigError, DataError, StoreError
from components.core.store import Entry, open_store

sys.path.insert(0, str(Path(__file__).parents[1]))
pytest_plugins = ["real_s3"]
BUCKET = "thygan-test"


@pytest.fixture(params=["folder", "bucket"])
def uri(request, tmp_path):
    return str(tmp_path / "store") if request.param == "folder" else request.getfixturevalue("bucket")


def a_file(path, data):
    path.write_bytes(data)
    return path


def fetched(store, name, path):
    store.get(name, path)
    return path.read_bytes()


def key_of(uri, name):
    return f"{uri.removeprefix(f's3://{BUCKET}/')}/{name}"


def test_objects_come_back(uri, tmp_path):
    store, twin = open_store(uri), open_store(f"{uri}/")
    objects = {"a": b"", "b c/ü&?=+%20.txt": b"odd", "deep/er/x": random.Random(0).randbytes(70_000)}
    for name, data in objects.items():
        store.put(a_file(tmp_path / "source", data), name)
    for name, data in objects.items():
        assert fetched(twin, name, tmp_path / "new" / "target") == data
    assert store.list() == [Entry(name, len(objects[name])) for name in sorted(objects)]
    [deep] = store.list("deep/")
    assert deep == Entry("deep/er/x", 70_000)
    store.write("deep/er/x", b"y" * 70_000)
    [again] = store.list("deep/")
    assert (again, again.version != deep.version) == (deep, True)
    store.put(a_file(tmp_path / "source", b"other"), "a")
    assert fetched(store, "a", tmp_path / "target") == b"other"
    assert (store.exists("a"), store.exists("deep"), store.exists("none")) == (True, False, False)
    store.delete("a")
    store.delete("a")
    assert not store.exists("a")


def test_a_large_file_goes_in_parts(bucket, s3, tmp_path):
    data = random.Random(1).randbytes(40 << 20)
    store = open_store(bucket)
    store.put(a_file(tmp_path / "source", data), "large")
    etag = s3.client().stat_object(BUCKET, key_of(bucket, "large")).etag
    assert etag.endswith("-3")
    assert fetched(store, "large", tmp_path / "target") == data


def test_what_is_not_there(uri, tmp_path):
    store = open_store(uri)
    assert store.list() == []
    assert store.read("none") is None
    with pytest.raises(StoreError, match=r"/none cannot be read: it does not exist\.$"):
        store.get("none", tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", "a//b", "a/", "./a", "a\nb", "a\\b"])
def test_names_stay_below(uri, tmp_path, name):
    store = open_store(uri)
    for use in (store.read, store.exists, store.delete, lambda name: store.get(name, tmp_path / "target")):
        with pytest.raises(StoreError, match="cannot be the name of an object"):
            use(name)


def test_torn_objects_are_refused(tmp_path, bucket, s3):
    folder = open_store(tmp_path / "store")
    folder.put(a_file(tmp_path / "source", b"whole"), "x")
    (tmp_path / "store" / "x").write_bytes(b"whols")
    wrong = {"sha256": hashlib.sha256(b"whole").hexdigest()}
    s3.client().put_object(BUCKET, key_of(bucket, "x"), BytesIO(b"whols"), 5, metadata=wrong)
    for store in (folder, open_store(bucket)):
        with pytest.raises(DataError, match=r"/x is damaged: its sha256 begins with \w{12}, not with \w{12}"):
            store.get("x", tmp_path / "target")
        assert [path.name for path in tmp_path.iterdir()].count("target") == 0


def test_what_others_put_there_is_read(tmp_path, bucket, s3):
    s3.client().put_object(BUCKET, key_of(bucket, "x"), BytesIO(b"theirs"), 6)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "x").write_bytes(b"theirs")
    for store in (open_store(bucket), open_store(tmp_path / "store")):
        assert fetched(store, "x", tmp_path / "target") == b"theirs"


def test_writes_under_a_condition(uri):
    store = open_store(uri)
    first = store.write("note", b"1", replaces="")
    assert store.write("note", b"2", replaces="") is None
    second = store.write("note", b"3", replaces=first)
    assert store.write("note", b"4", replaces=first) is None
    assert (store.read("note").data, store.read("note").version) == (b"3", second)
    assert store.write("none", b"5", replaces=first) is None
    assert store.read("none") is None
    assert store.write("note", b"6") not in (None, second)


def test_of_many_writers_one_succeeds(uri):
    start = threading.Barrier(8)

    def write(number):
        store = open_store(uri)
        start.wait()
        return store.write("note", str(number).encode(), replaces="")

    with ThreadPoolExecutor(8) as pool:
        won = [number for number, version in enumerate(pool.map(write, range(8))) if version]
    assert [open_store(uri).read("note").data] == [str(number).encode() for number in won]


def test_a_killed_writer_leaves_the_old_or_the_new(uri, tmp_path, forked):
    old, new = b"old" * 1000, random.Random(2).randbytes(24 << 20)
    source = a_file(tmp_path / "source", new)
    open_store(uri).put(a_file(tmp_path / "old", old), "x")

    def work(tell):
        tell("ready")
        open_store(uri).put(source, "x")
        tell("done")
        time.sleep(60)

    for moment in (0.01, 0.06, 0.15, 0.4):
        with forked(work) as (process, hear):
            assert hear() == "ready"
            time.sleep(moment)
            os.kill(process, signal.SIGKILL)
            told = hear()
        found = fetched(open_store(uri), "x", tmp_path / "target")
        assert found == new if told == "done" else found in (old, new)
        assert [one.name for one in open_store(uri).list()] == ["x"]


def test_a_server_that_dies_during_an_upload(bucket, s3, tmp_path):
    data = random.Random(3).randbytes(48 << 20)
    source, store = a_file(tmp_path / "source", data), open_store(bucket, retries=3)
    with ThreadPoolExecutor(1) as pool:
        upload = pool.submit(store.put, source, "x")
        time.sleep(0.3)
        s3.kill()
        time.sleep(0.5)
        s3.start()
        try:
            upload.result()
        except StoreError as error:  # a request that must not be repeated was cut: said, and nothing half-written
            assert re.search("does not answer as it should|the store answers", str(error))
            assert not store.exists("x")
            store.put(source, "x")
    assert fetched(store, "x", tmp_path / "target") == data


def test_a_download_that_is_cut_is_asked_for_again(bucket, bad_line, tmp_path):
    data = random.Random(4).randbytes(3 << 20)
    open_store(bucket).put(a_file(tmp_path / "source", data), "x")
    bad_line.cut_after_bytes, bad_line.cuts_left = 1 << 20, 2
    assert fetched(open_store(bucket), "x", tmp_path / "target") == data
    assert bad_line.cuts_left == 0


def test_a_download_that_is_always_cut(bucket, bad_line, tmp_path):
    open_store(bucket).put(a_file(tmp_path / "source", bytes(3 << 20)), "x")
    bad_line.cut_after_bytes, bad_line.cuts_left = 1 << 20, 99
    with pytest.raises(StoreError, match=r"/x cannot be read: the store at .* does not answer as it should"):
        open_store(bucket).get("x", tmp_path / "target")
    assert {path.name for path in tmp_path.iterdir()} == {"source"}


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, r"denies access with these credentials \(SignatureDoesNotMatch\)"),
        ({"AWS_ACCESS_KEY_ID": "wrong"}, r"denies access with these credentials \(InvalidAccessKeyId\)"),
        ({"AWS_ACCESS_KEY_ID": ""}, "no credentials: set AWS_ACCESS_KEY_ID"),
        ({"THYGAN_S3_ENDPOINT": "http://127.0.0.1:9"}, "does not answer as it should .*refused.* THYGAN_S3_ENDPOINT"),
    ],
)
def test_a_refused_request_is_one_sentence_without_secrets(
    bucket, s3, monkeypatch, tmp_path, variables, sentence
):  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    store = open_store(bucket, retries=1)
    source = a_file(tmp_path / "source", b"x")
    for use in (store.list, lambda: store.put(source, "x"), lambda: store.write("x", b"x", replaces="")):
        with pytest.raises(StoreError, match=sentence) as refused:
            use()
        assert s3.secret not in str(refused.value)
        assert "\n" not in str(refused.value)


def test_other_endpoints_and_buckets(s3, monkeypatch):
    with pytest.raises(StoreError, match="no such bucket"):
        open_store("s3://thygan-nowhere/x").list()
    monkeypatch.setenv("THYGAN_S3_ENDPOINT", f"http://127.0.0.1:{s3.ports[1]}")
    with pytest.raises(StoreError, match="is not an S3 store"):
        open_store(f"s3://{BUCKET}/x").list()
    for endpoint in ("127.0.0.1:9000", "http://key:secret@host", "ftp://host"):
        monkeypatch.setenv("THYGAN_S3_ENDPOINT", endpoint)
        with pytest.raises(ConfigError, match="is not an address: write http://host:port") as refused:
            open_store(f"s3://{BUCKET}/x")
        assert "secret" not in str(refused.value)


def test_addresses(tmp_path, s3):
    assert open_store(f"file://{tmp_path}/a%20b").uri == f"{tmp_path}/a b"
    assert open_store("some/folder").uri == "some/folder"
    assert open_store(f"minio://{BUCKET}/x/").uri == f"s3://{BUCKET}/x"
    for address in ("", "gs://bucket/x", "file://host/x"):
        with pytest.raises(ConfigError, match="is not the address of a store"):
            open_store(address)
    with pytest.raises(ConfigError, match="has no bucket name"):
        open_store("s3:///x")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    store = open_store(tmp_path / "file")
    with pytest.raises(StoreError, match=r"/file/x cannot be written \(.*\): check"):
        store.put(tmp_path / "file", "x")


def test_errands_outlive_the_store_and_keep_the_newest(bucket, s3, tmp_path, capsys):
    store, errands = open_store(bucket, retries=0), UploadQueue(bucket)
    source = a_file(tmp_path / "source", b"x")
    s3.kill()
    for number in range(5):
        errands.submit("checkpoint", lambda number=number: store.put(source, f"checkpoint-{number}"))
        errands.submit(f"snapshot {number}", lambda number=number: store.put(source, f"snapshot-{number}"))
        time.sleep(0.3)
    assert "does not answer" in errands.wait(0.1)
    s3.start()
    assert errands.close(30) == ""
    assert {one.name for one in store.list()} == {"checkpoint-4", *(f"snapshot-{number}" for number in range(5))}
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert said[0].endswith("The work continues; it is tried again.")
    assert said[1] == f"{bucket} is back."


def test_an_errand_that_breaks_is_not_hidden():
    errands = UploadQueue("nowhere")
    errands.submit("break", lambda: 1 // 0)
    assert errands.wait(10).startswith("ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        errands.submit("more", lambda: None)
