"""A loopback HTTP server that passes requests on and notes each: who called what, and when."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True, slots=True)
class Call:
    at: float
    name: str
    """`POST /path` or, for a query API, its action."""
    status: int


class Counting:
    """Serves while it is entered. `upstream` says at each request where it goes."""

    def __init__(self, upstream: Callable[[], str]) -> None:
        self.calls: list[Call] = []
        counting = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def pass_on(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                at = time.time()
                parts = urlsplit(upstream())
                connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
                connection.request(self.command, self.path, body, dict(self.headers.items()))
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                action = parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]
                name = action or f"{self.command} {self.path}"
                counting.calls.append(Call(at, name, answer.status))

            do_GET = do_POST = do_DELETE = do_PUT = pass_on  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Say nothing: what is of interest is in `calls`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
