"""The HTTP shell: sockets, the lock, the clock and the disk around the core."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from triggerfish.local.jenkins import control
from triggerfish.local.jenkins.api import Api
from triggerfish.local.jenkins.exchange import VERSION, Request, Response, error
from triggerfish.local.jenkins.notifier import Notifier
from triggerfish.local.jenkins.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from triggerfish.local.jenkins.access import Access
    from triggerfish.local.jenkins.core import Core

MAX_BODY_BYTES = 2 * 1024 * 1024


class StandIn:
    """A Jenkins that runs: answers requests, lets time pass, and remembers on disk."""

    def __init__(
        self, core: Core, access: Access, *, state: Path, port: int = 0, prefix: str = ""
    ) -> None:
        self._core = core
        self._api = Api(core, access, prefix)
        self._store = Store(state)
        self._lock = threading.Condition()
        self._stopping = False
        self._server = _Server(("127.0.0.1", port), self)
        self._notifier = Notifier(self._pending_notifications, self._delivered)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{prefix}/"
        with self._lock:
            core.advance(time.time())
            self._store.load(core)
            core.restart()
            self._store.save(core)
        self._threads = [
            # The interval is how often `serve_forever` looks whether it should stop, nothing else.
            threading.Thread(target=self._server.serve_forever, args=(0.25,), daemon=True),
            threading.Thread(target=self._let_time_pass, daemon=True),
            threading.Thread(target=self._notifier.run, daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        self._notifier.wake()

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        self._notifier.stop()
        self._server.end()
        self._server.server_close()
        for thread in self._threads:
            thread.join(timeout=1.0)
        with self._lock:
            self._store.close()

    def answer(self, request: Request) -> Response:
        """Answer one request: its effect is on disk before its answer is sent."""
        with self._lock:
            if self._stopping:
                return Response(status=0, lost=True)
            self._core.advance(time.time())
            if request.segments[:1] == (control.PREFIX,):
                response = self._control(request)
            else:
                response = self._api.answer(request)
            self._save()
        return response

    def _control(self, request: Request) -> Response:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname
        if host not in {"127.0.0.1", "localhost"}:
            return error(421, "The controls answer to a loopback address only")
        return control.answer(self._core, request)

    def _save(self) -> None:
        """Store what changed and wake whoever waits for it. The lock is held."""
        notify = any(kind == "notification" for kind, _, _ in self._core.changes)
        if self._core.changes:
            self._store.save(self._core)
            self._lock.notify_all()
        if notify:
            self._notifier.wake()

    def _let_time_pass(self) -> None:
        with self._lock:
            while not self._stopping:
                self._core.advance(time.time())
                self._save()
                at = self._core.next_event_at()
                self._lock.wait(None if at is None else max(0.0, at - time.time()))

    def _pending_notifications(self) -> list[tuple[str, dict[str, object]]]:
        with self._lock:
            return [
                (
                    one.url,
                    {"job": one.job, "build": one.build, "parameters": dict(one.parameters)},
                )
                for one in self._core.outbox.values()
            ]

    def _delivered(self, job: str, build: int) -> None:
        with self._lock:
            if not self._stopping:
                self._core.delivered(job, build)
                self._save()


_Connection = socket.socket | tuple[bytes, socket.socket]
"""As socketserver types it; over TCP it is the socket."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], stand_in: StandIn) -> None:
        self.stand_in = stand_in
        self._connections: set[_Connection] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: _Connection, client_address: object) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: _Connection) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def end(self) -> None:
        """Stop serving now: a connection ends the wait for one, and those kept alive are closed."""
        ending = threading.Thread(target=self.shutdown)
        ending.start()
        address = ("127.0.0.1", self.server_address[1])
        with contextlib.suppress(OSError), socket.create_connection(address):
            ending.join()
        ending.join()
        for connection in list(self._connections):
            if isinstance(connection, socket.socket):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet for the head and the body
    timeout = 30.0
    """Jetty's idle timeout for connections that are kept alive."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def do_GET(self) -> None:
        if "transfer-encoding" in self.headers:
            self._send(error(411, "Length Required"), close=True)
            return
        length = self.headers.get("content-length") or "0"
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self._send(error(413, "Payload Too Large"), close=True)
            return
        request = Request(
            method=self.command,
            target=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)),
        )
        self._send(self.server.stand_in.answer(request))

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - as do_GET

    def _send(self, response: Response, *, close: bool = False) -> None:
        if response.lost:
            self.close_connection = True
            return
        self.send_response(response.status)
        if close:
            self.send_header("Connection", "close")
        for name, value in (
            ("X-Content-Type-Options", "nosniff"),
            ("X-Jenkins", VERSION),
            ("X-Hudson", "1.395"),
            *response.headers,
        ):
            self.send_header(name, value)
        if response.status != 204:
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def version_string(self) -> str:
        return "Jetty(12.0.25)"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Requests are not logged: their queries hold parameters."""
