"""A server that answers what it is told to, byte for byte, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Scripted:
    """Gives one answer a connection, in order; the last one again and again.

    An answer is written in its pieces, with `pause_s` between them.
    """

    def __init__(self, *answers: bytes | list[bytes], pause_s: float = 0.0) -> None:
        self.requests: list[bytes] = []
        self._answers = list(answers)
        self._pause_s = pause_s
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            connection, _ = self._listener.accept()
            with connection, contextlib.suppress(OSError):
                request = _read(connection)
                if not request:
                    continue
                self.requests.append(request)
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                for piece in [answer] if isinstance(answer, bytes) else answer:
                    connection.sendall(piece)
                    if self._ended.wait(self._pause_s):
                        break


def _read(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return b""
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def scripted(*answers: bytes | list[bytes], pause_s: float = 0.0) -> Iterator[Scripted]:
    server = Scripted(*answers, pause_s=pause_s)
    try:
        yield server
    finally:
        server.end()


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer; `Content_Type="text/html"` becomes the header `Content-Type`."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
