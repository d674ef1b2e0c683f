"""Lambda's Runtime API for one environment: where AWS's client takes events and leaves answers.

Source: docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, November 2026. Pure of processes and
time: it's told when the process exited.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from triggerfish.local.sandbox.http import Response
from triggerfish.local.sandbox.limits import RESPONSE_BYTES, error_body, response_too_large

if TYPE_CHECKING:
    from triggerfish.local.sandbox.http import Request

T = TypeVar("T")

_VERSION = "/2018-06-01/runtime/"
_ACCEPTED = Response(
    status=202, body=b'{"status":"OK"}', headers={"Content-Type": "application/json"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    request_id: str
    arn: str
    deadline_ms: int
    trace_id: str
    payload: bytes
    client_context: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the function said. `error_type` is None for a result."""

    body: bytes
    error_type: str | None = None


@dataclass(frozen=True, slots=True)
class Exited:
    wait_status: int


class TimedOut:
    """The time was up first."""


Answer = Reply | Exited | TimedOut


class RuntimeApi:
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.initialised: asyncio.Future[Answer | None] = loop.create_future()
        """None when the client asks for its first event; what went wrong otherwise."""
        self.client_ends = False
        """It was refused an answer, upon which AWS's client ends itself."""
        self._offered: asyncio.Queue[Invocation] = asyncio.Queue()
        self._current: tuple[Invocation, asyncio.Future[Answer]] | None = None

    def offer(self, invocation: Invocation) -> asyncio.Future[Answer]:
        """Hand over one event; the future is its answer."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._current = (invocation, answer)
        self._offered.put_nowait(invocation)
        return answer

    def exited(self, wait_status: int) -> None:
        settle(self.initialised, Exited(wait_status))
        if self._current is not None:
            settle(self._current[1], Exited(wait_status))

    async def handle(self, request: Request) -> Response:
        path = request.path.removeprefix(_VERSION)
        match path.split("/"):
            case ["invocation", "next"] if request.method == "GET":
                return await self._next()
            case ["invocation", request_id, "response"] if request.method == "POST":
                return self._respond(request_id, request)
            case ["invocation", request_id, "error"] if request.method == "POST":
                return self._fail(request_id, request)
            case ["init", "error"] if request.method == "POST":
                settle(self.initialised, _error_reply(request))
                return _ACCEPTED
            case _:
                return _refuse(404, "InvalidPath", f"{request.method} {request.path} is unknown")

    async def _next(self) -> Response:
        settle(self.initialised, None)
        invocation = await self._offered.get()
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
        }
        if invocation.client_context:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        return Response(status=200, body=invocation.payload, headers=headers)

    def _respond(self, request_id: str, request: Request) -> Response:
        if len(request.body) > RESPONSE_BYTES:
            reply = Reply(body=response_too_large(), error_type="Function.ResponseSizeTooLarge")
            self._settle_current(request_id, reply)
            self.client_ends = True
            limit = f"Exceeded maximum allowed payload size ({RESPONSE_BYTES} bytes)."
            return _refuse(413, "RequestEntityTooLarge", limit)
        return self._settle_current(request_id, Reply(body=request.body))

    def _fail(self, request_id: str, request: Request) -> Response:
        return self._settle_current(request_id, _error_reply(request))

    def _settle_current(self, request_id: str, reply: Reply) -> Response:
        if self._current is None or self._current[0].request_id != request_id:
            return _refuse(400, "InvalidRequestID", "Invalid request ID")
        settle(self._current[1], reply)
        self._current = None
        return _ACCEPTED


def _error_reply(request: Request) -> Reply:
    named = request.headers.get("lambda-runtime-function-error-type")
    return Reply(body=request.body, error_type=named or "Runtime.Unknown")


def _refuse(status: int, error_type: str, message: str) -> Response:
    headers = {"Content-Type": "application/json"}
    return Response(status=status, body=error_body(error_type, message), headers=headers)


def time_out(answer: asyncio.Future[Any]) -> None:
    """Answer in place of a client that takes too long. Accepts either future of `RuntimeApi`."""
    settle(answer, TimedOut())


def settle(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)
