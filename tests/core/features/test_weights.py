"""The registry against a real HTTP server, good and bad, and a real S3 server."""

import hashlib
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.core.errors import WeightsError
from components.core.features.registry import REGISTRY, Weights
from components.core.features.weights import BUCKET_VARIABLE, FOLDER_VARIABLE, MIRROR_VARIABLE, find_weights, locate
from components.core.store import open_store

sys.path.insert(0, str(Path(__file__).parents[1]))
pytest_plugins = ["real_s3"]

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """/good, /wrong, /cut (half the bytes it announced), anything else is not found."""

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        body = {"good": CONTENT, "wrong": CONTENT[::-1], "cut": CONTENT[: len(CONTENT) // 2]}.get(kind)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []  # type: ignore[attr-defined]
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.delenv(BUCKET_VARIABLE, raising=False)
    return tmp_path / "cache" / "thygan" / "weights"


def entry(url: str = "", sha256: str = SHA256) -> Weights:
    return Weights("net", "net.pth", sha256, len(CONTENT), "none", "a test", url=url)


def address(server: http.server.ThreadingHTTPServer, kind: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{kind}"


def test_downloads_once_then_serves_from_the_cache(server, cache: Path) -> None:
    url = address(server, "good") + "/net.pth"
    assert locate(entry(url)).read_bytes() == CONTENT
    assert locate(entry(url)) == cache / "net.pth"
    assert len(server.asked) == 1


@pytest.mark.parametrize("sha256", [SHA256, SHA256[:8]])
def test_wrong_hash_is_refused_and_nothing_kept(server, cache: Path, sha256: str) -> None:
    with pytest.raises(WeightsError, match="served another file"):
        locate(entry(address(server, "wrong"), sha256))
    assert list(cache.iterdir()) == []


def test_cut_connection_leaves_nothing(server, cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"could not be found.*cannot be fetched"):
        locate(entry(address(server, "cut")))
    assert list(cache.iterdir()) == []


def test_mirror_comes_before_the_url_and_an_absent_mirror_file_falls_through(server, monkeypatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, address(server, "good/mirror/"))
    locate(entry(address(server, "missing")))
    assert server.asked == ["/good/mirror/net.pth"]
    monkeypatch.setenv(MIRROR_VARIABLE, address(server, "absent"))
    other = Weights("other", "other.pth", SHA256, len(CONTENT), "none", "a test", url=address(server, "good/other.pth"))
    assert locate(other).read_bytes() == CONTENT
    assert server.asked[1:] == ["/absent/other.pth", "/good/other.pth"]


def test_a_changed_file_in_the_cache_is_fetched_anew(server, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "net.pth").write_bytes(b"damaged")
    assert locate(entry(address(server, "good"))).read_bytes() == CONTENT


def test_read_only_cache_serves_what_it_has(server, cache: Path) -> None:
    locate(entry(address(server, "good")))
    cache.chmod(0o555)
    try:
        assert locate(entry(address(server, "missing"))).read_bytes() == CONTENT
    finally:
        cache.chmod(0o755)


def test_cache_that_cannot_be_written_says_what_to_set(server, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"cannot be stored in .*XDG_CACHE_HOME"):
        locate(entry(address(server, "good")))


def test_folder_comes_first_and_is_verified(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "net.pth").write_bytes(CONTENT)
    assert locate(entry(), str(tmp_path)) == tmp_path / "net.pth"
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert locate(entry()) == tmp_path / "net.pth"
    (tmp_path / "net.pth").write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match=r"is not net\.pth"):
        locate(entry())


def test_a_cluster_without_a_network_works_from_a_bucket(bucket, tmp_path: Path, cache: Path, monkeypatch) -> None:
    (tmp_path / "net.pth").write_bytes(CONTENT)
    open_store(bucket).put(tmp_path / "net.pth", "net.pth")
    unreachable = entry("http://127.0.0.1:9/net.pth")
    assert locate(unreachable, bucket) == cache / "net.pth"
    (cache / "net.pth").unlink()
    monkeypatch.setenv(BUCKET_VARIABLE, bucket)
    assert locate(unreachable).read_bytes() == CONTENT
    (cache / "net.pth").unlink()
    (tmp_path / "folder").mkdir()
    (tmp_path / "net.pth").rename(tmp_path / "folder" / "net.pth")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "folder"))
    assert locate(unreachable) == tmp_path / "folder" / "net.pth"  # a folder comes before a bucket


def test_a_bucket_comes_before_a_mirror_and_what_it_lacks_is_looked_for_there(bucket, server, monkeypatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, address(server, "good"))
    assert locate(entry(), bucket).read_bytes() == CONTENT
    assert server.asked == ["/good/net.pth"]


def test_a_bucket_with_another_file_is_refused_and_nothing_kept(bucket, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "net.pth").write_bytes(CONTENT[::-1])
    open_store(bucket).put(tmp_path / "net.pth", "net.pth")
    with pytest.raises(WeightsError, match=r"s3://.*served another file"):
        locate(entry(), bucket)
    assert list(cache.iterdir()) == []


def test_a_cut_line_to_the_bucket_is_bridged_or_leaves_nothing(bad_line, bucket, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "net.pth").write_bytes(CONTENT)
    open_store(bucket).put(tmp_path / "net.pth", "net.pth")
    bad_line.cut_after_bytes, bad_line.cuts_left = 100_000, 1
    assert locate(entry(), bucket).read_bytes() == CONTENT
    (cache / "net.pth").unlink()
    bad_line.is_down = True
    with pytest.raises(WeightsError, match=r"could not be found: s3://.*does not answer"):
        locate(entry(), bucket)
    assert list(cache.iterdir()) == []


def test_found_nowhere_says_what_and_what_to_do() -> None:
    with pytest.raises(WeightsError, match=r"of net .* could not be found.*THYGAN_WEIGHTS"):
        locate(entry("http://127.0.0.1:9/net.pth"))


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(WeightsError, match="efficientnet_lite0, resnet18"):
        find_weights("vgg")


def test_installed_package_holds_efficientnet() -> None:
    path = find_weights("efficientnet_lite0")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == REGISTRY["efficientnet_lite0"].sha256
    assert path.stat().st_size == REGISTRY["efficientnet_lite0"].size_bytes


def test_torchvision_entries_are_torchvisions_own() -> None:
    models = pytest.importorskip("torchvision.models")
    for name in ("resnet18", "resnet50", "resnet101"):
        official = models.get_model_weights(name)["IMAGENET1K_V1"]
        assert REGISTRY[name].url == official.url
        assert REGISTRY[name].sha256 in official.url
        assert REGISTRY[name].size_bytes / 2**20 == pytest.approx(official.meta["_file_size"], abs=1e-3)
