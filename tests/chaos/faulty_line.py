"""A line to an S3 server that does what lines and servers do to a run."""

import re
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

FULL = (
    b"<?xml version='1.0'?><Error><Code>XMinioStorageFull</Code><Message>full</Message><Resource>/</Resource>"
    b"<RequestId>1</RequestId><HostId>1</HostId></Error>"
)
BUSY, SKEWED = (FULL.replace(b"XMinioStorageFull", code) for code in (b"SlowDown", b"RequestTimeTooSkewed"))
_REQUESTS = (b"GET ", b"PUT ", b"HEAD ", b"POST ", b"DELETE ")
_STAMPS = re.compile(rb"(?<=\r\n)(Date|Last-Modified): ([^\r\n]+ GMT)", re.IGNORECASE)
AHEAD = timedelta(hours=1)
_LARGE = 20_000  # bytes of an answer that is an object's, and no list


class FaultyLine:
    """A relay to the server.

    Attributes:
        host: Where it listens.
        fault: What it does now: "" nothing, "slow", "down" (refuses), "cut" (ends large answers in their middle),
            "flip" (changes a byte of large answers), "full" (answers 507 to what would be written), "busy" (503),
            "skewed" (refuses requests for the clock that signed them), "ahead" (the server's clock is an hour ahead),
            "jumps" (it is, from now on, and not where it tells of what was written before).
        times: How often it still does so.
        done: How often it did.
    """

    def __init__(self, host: str) -> None:
        name, _, port = host.partition(":")
        self._target = (name, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.fault, self.times, self.done = "", 10**9, 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _is(self, *faults: str) -> bool:
        if self.fault not in faults or self.times <= 0:
            return False
        self.times -= 1
        self.done += 1
        return True

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._is("down"):
                near.close()
                continue
            try:
                far = socket.create_connection(self._target)
            except OSError:  # the server is dead
                near.close()
                continue
            threading.Thread(target=self._ask, args=(near, far), daemon=True).start()
            threading.Thread(target=self._answer, args=(far, near), daemon=True).start()

    def _ask(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                is_write = data.startswith((b"PUT ", b"POST "))
                if self.fault == "full" and is_write and self._is("full"):
                    self._reply(near, b"507 Insufficient Storage", FULL, data)
                    break
                if self.fault == "busy" and data.startswith(_REQUESTS) and self._is("busy"):
                    self._reply(near, b"503 Service Unavailable", BUSY, data)
                    break
                if self.fault == "skewed" and data.startswith(_REQUESTS) and self._is("skewed"):
                    self._reply(near, b"403 Forbidden", SKEWED, data)
                    break
                if self._is("slow"):
                    time.sleep(0.05)
                far.sendall(data)
        self._end(near, far)

    @staticmethod
    def _reply(near: socket.socket, status: bytes, body: bytes, request: bytes) -> None:
        head = b"HTTP/1.1 %s\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        head = head.replace(b"Connection", b"Date: %s\r\nConnection" % _stamp(datetime.now(UTC) + AHEAD))
        near.sendall(head % (status, len(body)) + (b"" if request.startswith(b"HEAD ") else body))
        near.shutdown(socket.SHUT_WR)
        near.settimeout(0.5)
        with suppress(OSError):  # what is still on its way: unread, it would reset the answer
            while near.recv(65536):
                pass

    def _answer(self, far: socket.socket, near: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := far.recv(65536):
                if self.fault in ("ahead", "jumps") and data.startswith(b"HTTP/"):
                    self.done += 1
                    data = _STAMPS.sub(self._later, data)
                before, passed = passed, passed + len(data)
                if before < _LARGE <= passed:
                    at = _LARGE - before - 1
                    if self._is("cut"):
                        near.sendall(data[:at])
                        break
                    if self._is("flip"):
                        data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
                if self.fault == "slow":
                    time.sleep(0.05)
                near.sendall(data)
        self._end(far, near)

    def _later(self, found: re.Match) -> bytes:
        if self.fault == "jumps" and found[1].lower() != b"date":
            return found[0]
        return found[1] + b": " + _stamp(parsedate_to_datetime(found[2].decode()) + AHEAD)

    @staticmethod
    def _end(*sockets: socket.socket) -> None:
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _stamp(moment: datetime) -> bytes:
    return format_datetime(moment, usegmt=True).encode()
