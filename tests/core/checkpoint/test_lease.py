"""Leases: of two owners one is refused, a dead one blocks no longer than it says, a stalled one stops."""

import os
import re
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.core.checkpoint.lease import ObjectLease, acquire_lease, hold_lease
from components.core.errors import ConfigError, StoreError
from components.core.store import open_store
from components.core.store.folder import FolderStore

sys.path.insert(0, str(Path(__file__).parent))
from owner import holding

pytest_plugins = ["tests.core.real_s3"]

EXPIRY_S = 2.0


def test_a_folder_has_one_owner(tmp_path, forked):
    with forked(holding(tmp_path / "f", EXPIRY_S)) as (process, hear):
        assert hear() == "held True"
        sentence = rf"/f is in use by \S+ \(process {process}\) since 20\d\d-.* UTC, until that process ends: stop it"
        with pytest.raises(StoreError, match=sentence):
            acquire_lease(tmp_path / "f")
        os.kill(process, signal.SIGKILL)
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        with hold_lease(tmp_path / "f") as lease:
            assert lease.confirm()
            with pytest.raises(StoreError, match=rf"process {os.getpid()}"):
                acquire_lease(f"file://{tmp_path}/f")
    acquire_lease(tmp_path / "f").release()


def test_an_owner_whose_folder_was_removed_stops(tmp_path):
    first = acquire_lease(tmp_path / "f")
    (tmp_path / "f" / ".lease").unlink()
    with hold_lease(tmp_path / "f") as second:
        assert not first.confirm()
        with pytest.raises(StoreError, match="was removed while it was in use"):
            first.check()
        first.release()
        second.check()


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be used"):
        acquire_lease(tmp_path / "file")


def test_a_prefix_has_one_owner(bucket, forked, capsys):
    with forked(holding(bucket, EXPIRY_S)) as (process, hear):
        assert hear() == "held True"
        sentence = (
            rf"^{bucket} is in use by \S+ \(process {process}\) since 20\S+ \S+ UTC, whose lease runs until 20\S+ \S+ "
            r"UTC if it is not renewed: stop that run, or give another address\.$"
        )
        for _ in range(2):
            with pytest.raises(StoreError, match=sentence):
                acquire_lease(bucket, EXPIRY_S)
        assert capsys.readouterr().out.count("Waiting to see whether it is renewed.") == 2
        with hold_lease(f"{bucket}/elsewhere", EXPIRY_S) as other:
            other.check()


def test_a_killed_owner_blocks_until_its_expiry(bucket, forked):
    with forked(holding(bucket, EXPIRY_S)) as (process, hear):
        assert hear() == "held True"
        os.kill(process, signal.SIGKILL)
        killed = time.monotonic()
        with hold_lease(bucket, 30) as lease:
            assert time.monotonic() - killed < EXPIRY_S + 5  # not the newcomer's 30 s; room for a busy machine
            assert lease.confirm()


def test_a_released_prefix_is_free_at_once(bucket, capsys):
    for _ in range(3):
        with hold_lease(bucket, 600) as lease:
            assert lease.confirm()
    assert capsys.readouterr().out == ""


def test_a_stalled_owner_finds_itself_replaced(bucket, forked):
    with forked(holding(bucket, EXPIRY_S)) as (process, hear):
        assert hear() == "held True"
        os.kill(process, signal.SIGSTOP)
        with hold_lease(bucket, EXPIRY_S) as lease:
            os.kill(process, signal.SIGCONT)
            while (told := hear()) == "held True":
                pass  # what it told before it was stopped
            while told == "held False":
                told = hear()
            sentence = (
                rf"The lease of {bucket} was taken over by \S+ \(process {os.getpid()}\) since .*, [1-9]\d* s after"
            )
            assert re.match(sentence, told)
            time.sleep(1)
            assert lease.confirm()
            lease.check()


def test_a_stalled_owner_asks_before_it_writes(bucket, monkeypatch):
    """Even where the renewing thread has not yet come to its turn."""
    first = acquire_lease(bucket, 600)
    store = open_store(bucket)
    store.write("lease.json", store.read("lease.json").data.replace(b'"token": "', b'"token": "other'))
    assert first.confirm()
    monkeypatch.setattr(
        "components.core.checkpoint.lease._now_s", lambda: time.clock_gettime(time.CLOCK_BOOTTIME) + 400
    )
    assert not first.confirm()
    with pytest.raises(StoreError, match="taken over"):
        first.check()


def test_a_lease_outlives_a_store_that_is_away(bucket, s3):
    with hold_lease(bucket, EXPIRY_S) as lease:
        s3.kill()
        time.sleep(EXPIRY_S + 1)
        lease.check()
        with pytest.raises(StoreError, match="does not answer"):
            lease.confirm()
        s3.start()
        assert lease.confirm()
        lease.check()
        with pytest.raises(StoreError, match="is in use by"):
            acquire_lease(bucket, EXPIRY_S)


def test_a_store_that_is_away_is_waited_for(bucket, bad_line, capsys, monkeypatch):
    """And for no longer than is said."""
    bad_line.is_down = True
    threading.Timer(4, lambda: setattr(bad_line, "is_down", False)).start()
    with hold_lease(bucket, EXPIRY_S) as lease:
        assert lease.confirm()
    assert capsys.readouterr().out.count("Waiting for up to 300 s.") == 1
    bad_line.is_down = True
    monkeypatch.setenv("THYGAN_PATIENCE_S", "2")
    with pytest.raises(StoreError, match=r"does not answer as it should .* It did not answer for [2-9] s\.$"):
        acquire_lease(bucket, EXPIRY_S)
    monkeypatch.setenv("THYGAN_PATIENCE_S", "soon")
    with pytest.raises(ConfigError, match="THYGAN_PATIENCE_S is 'soon': write seconds"):
        acquire_lease(bucket, EXPIRY_S)


def test_a_store_that_refuses_is_not_waited_for(bucket, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    began = time.monotonic()
    with pytest.raises(StoreError, match="denies access with these credentials"):
        acquire_lease(bucket, EXPIRY_S)
    assert time.monotonic() - began < 100  # of 300


def test_a_renewal_whose_answer_is_lost(bucket, bad_line):
    lease = acquire_lease(bucket, 600)
    before = open_store(bucket).read("lease.json").version
    bad_line.cut_after_bytes, bad_line.cuts_left = 10, 1
    lease.release()
    assert bad_line.cuts_left == 0
    assert open_store(bucket).read("lease.json").version != before
    lease.check()


def test_of_many_one_becomes_owner(bucket):
    start = threading.Barrier(6)

    def take(_):
        start.wait()
        try:
            return acquire_lease(bucket, EXPIRY_S)
        except StoreError as error:
            assert "is in use by" in str(error)
            return None

    with ThreadPoolExecutor(6) as pool:
        owners = [lease for lease in pool.map(take, range(6)) if lease]
    assert len(owners) == 1
    owners[0].check()
    owners[0].release()


@pytest.mark.parametrize("data", [b'{"owner": 1}', b"[" * 100_000])
def test_a_note_that_cannot_be_read_is_waited_for(tmp_path, data, capsys):
    store = FolderStore(tmp_path)
    store.write("lease.json", data)
    os.utime(tmp_path / "lease.json", (time.time() - 58, time.time() - 58))
    lease = ObjectLease(store)
    assert lease.confirm()
    assert "in use by an unknown owner" in capsys.readouterr().out
    lease.release()


class Forgetful(FolderStore):
    """A store that takes no notice of conditions, as some servers do."""

    def write(self, name, data, *, replaces=None):
        return super().write(name, data)


def test_a_store_without_conditions_is_refused(tmp_path):
    with pytest.raises(StoreError, match="ignores conditional writes"):
        ObjectLease(Forgetful(tmp_path))
