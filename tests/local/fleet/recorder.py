"""An SNS that takes every message and remembers it, and a way to wait for a condition."""

from __future__ import annotations

import http.server
import threading
import time
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

LONGEST_WAIT_S = 20.0


class Recorder:
    """`answers` are the statuses of the next answers; then everything is taken."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.authorizations: list[str] = []
        self.answers: list[int] = []
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length).decode()
                if len(body) < length:
                    return  # whoever was speaking has been killed
                recorder.authorizations.append(self.headers["Authorization"])
                recorder.requests.append(dict(parse_qsl(body)))
                self.send_response(recorder.answers.pop(0) if recorder.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def messages(self) -> list[str]:
        return [request["Message"] for request in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONGEST_WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)
