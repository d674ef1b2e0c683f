"""The little HTTP/1.1 the sandbox speaks: a server for its endpoints, a client for the emulator.

The standard library's server takes two writes for a response, and AWS's runtime client waits for
the kernel's delayed acknowledgement between them: 88 ms a call. Here a response is one write, and
asyncio sets TCP_NODELAY.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from triggerfish.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

HEAD_BYTES = 64 * 1024
BODY_BYTES = 64 * 1024 * 1024
"""Far over every limit of Lambda's, so that what is too large is answered as AWS answers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self, *, keep_open: bool) -> bytes:
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        if not keep_open:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class BadRequest(Exception):
    """What came is no HTTP request that we take."""


class Connection(asyncio.Protocol):
    """One client's connection: requests in turn, each answered before the next is read."""

    def __init__(self, handle: Callable[[Request], Awaitable[Response]]) -> None:
        self._handle = handle
        self._buffer = bytearray()
        self._wanted = 0
        self._transport: asyncio.WriteTransport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101  asyncio's own promise
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None and len(self._buffer) >= self._wanted:
            self._start_next()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        if self._task is not None:
            self._task.cancel()

    def _start_next(self) -> None:
        try:
            request, self._wanted = take_request(self._buffer)
        except BadRequest as error:
            self._write(Response(status=400, body=str(error).encode()), keep_open=False)
            return
        if request is not None:
            self._task = asyncio.create_task(self._answer(request))

    async def _answer(self, request: Request) -> None:
        response = await self._handle(request)
        self._task = None
        keep_open = request.headers.get("connection", "").lower() != "close"
        self._write(response, keep_open=keep_open)
        if self._buffer and keep_open:
            self._start_next()

    def _write(self, response: Response, *, keep_open: bool) -> None:
        if self._transport is None:
            return
        self._transport.write(response.encode(keep_open=keep_open))
        if not keep_open:
            self._transport.close()


def take_request(buffer: bytearray) -> tuple[Request | None, int]:
    """Take the first request out of the buffer, or say how many bytes the buffer needs for one."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > HEAD_BYTES:
            raise BadRequest("the request's head is too large")
        return None, 0
    first, _, rest = bytes(buffer[:end]).decode("latin-1").partition("\r\n")
    parts = first.split(" ")
    headers = _parse_headers(rest)
    length = headers.get("content-length", "0")
    if len(parts) != 3 or not length.isdecimal() or "transfer-encoding" in headers:
        raise BadRequest("wanted a request line and a Content-Length")
    total = end + 4 + int(length)
    if total > BODY_BYTES:
        raise BadRequest("the request is too large")
    if len(buffer) < total:
        return None, total
    body = bytes(buffer[end + 4 : total])
    del buffer[:total]
    return Request(method=parts[0], path=parts[1], headers=headers, body=body), 0


def _parse_headers(text: str) -> dict[str, str]:
    headers = {}
    for line in text.split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


class EmulatorClient:
    """GET from the emulator on kept connections.

    The signature is a form the emulator reads the region from and never verifies.
    """

    def __init__(self, url: str, *, access_key: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._access_key = access_key
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self, path: str, *, service: str, region: str) -> tuple[int, bytes]:
        """Status and body. Raises: Unavailable."""
        head = (
            f"GET {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Authorization: {authorization(self._access_key, region, service)}\r\n\r\n"
        ).encode()
        while self._idle:
            streams = self._idle.pop()
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                return await self._exchange(streams, head)
        try:
            streams = await asyncio.open_connection(self._host, self._port)
            return await self._exchange(streams, head)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            raise Unavailable(f"the emulator at {self._host}:{self._port}: {error}") from error

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    async def _exchange(
        self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], head: bytes
    ) -> tuple[int, bytes]:
        reader, writer = streams
        try:
            writer.write(head)
            answer = await _read_answer(reader)
        except BaseException:
            writer.close()
            raise
        self._idle.append(streams)
        return answer


def authorization(access_key: str, region: str, service: str) -> str:
    scope = f"{access_key}/20260101/{region}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=local"


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, _, rest = head.partition("\r\n")
    headers = _parse_headers(rest)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(first.split(" ")[1]), body


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(parts)
