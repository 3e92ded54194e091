"""Where data may come from: a list of what is allowed, and nothing else is asked."""

import socket
import threading

import pytest

from components.core.errors import ConfigError, ThyganError, WeightsError
from components.core.features.weights import MIRROR_VARIABLE, REGISTRY, locate
from components.core.store import open_store
from components.tile.image_sources import open_source

ELSEWHERE = [
    "http://{}/x",
    "https://{}/latest/meta-data",
    "ftp://{}/x",
    "gopher://{}/x",
    "file://{}/etc/passwd",
    "//{}/x",
]


@pytest.fixture
def listener():
    """An address, and who came."""
    came = []
    server = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                one, _ = server.accept()
            except OSError:
                return
            came.append(one.recv(1000))
            one.close()

    threading.Thread(target=accept, daemon=True).start()
    yield f"127.0.0.1:{server.getsockname()[1]}", came
    server.close()


@pytest.mark.parametrize("address", ELSEWHERE)
def test_a_source_reaches_nowhere_else(address, listener, tmp_path):
    host, came = listener
    with pytest.raises(ThyganError) as refused:
        open_source(address.format(host), tmp_path).file_names()
    assert "\n" not in str(refused.value)
    assert came == []


@pytest.mark.parametrize("address", ELSEWHERE[:5])
def test_nor_do_checkpoints(address, listener):
    host, came = listener
    with pytest.raises(ConfigError, match="is not the address of a store"):
        open_store(address.format(host))
    assert came == []


@pytest.mark.parametrize("mirror", ["file:///etc", "ftp://{}", "gopher://{}", "s3://bucket", "/etc"])
def test_a_mirror_speaks_http(mirror, listener, tmp_path, monkeypatch):
    host, came = listener
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(MIRROR_VARIABLE, mirror.format(host))
    one = next(iter(REGISTRY.values()))
    bare = type(one)(**{**one.__dict__, "url": "", "package": "", "file": "passwd"})
    with pytest.raises(WeightsError) as refused:
        locate(bare)
    assert "\n" not in str(refused.value)
    assert came == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
