"""The sandbox's endpoint, to which the emulator sends every invocation.

The wire, for whoever calls it (the emulator's patch, `triggerfish invoke`):

    POST /                                  the event as JSON; any path will do
    X-Amzn-Lambda-Function-Arn: ARN         required; names region, account and function
    X-Amzn-Lambda-Request-Id: ID            optional
    X-Amzn-Lambda-Function-Version: N       optional, $LATEST without it
    X-Amz-Invocation-Type: Event            optional: applies the 1 MiB limit instead of 6 MiB
    X-Amz-Log-Type: Tail                    optional: X-Amz-Log-Result has the last 4 KiB, base64
    X-Amzn-Trace-Id, X-Amz-Client-Context   optional, passed on (the context in base64, as on AWS)

    200                                     the function's result
    200  X-Amz-Function-Error: Unhandled    it failed; the body is AWS's error JSON, unchanged
    429                                     throttled: TooManyRequestsException's JSON
    413, 404, 400, 500                      X-Amzn-ErrorType: RequestTooLargeException,
                                            ResourceNotFoundException, ServiceException or
                                            InvalidParameterValueException (environment over 4 KB,
                                            reserved keys); body {"Type": ..., "message": ...}

Wait for an answer for the function's timeout and 15 s more: init takes up to 10 s before the time
starts, and this endpoint always answers by itself. A deadline header isn't read: the time starts
when the function does. A caller that goes away doesn't stop the function.

    GET /                                   {"environments": [...], "isolation": mode}
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import sys
import traceback
import uuid
from typing import TYPE_CHECKING

from triggerfish.errors import InputError, Refused, Unavailable
from triggerfish.local.sandbox.functions import parse_arn
from triggerfish.local.sandbox.http import Response
from triggerfish.local.sandbox.invocation import Call, InvocationRun
from triggerfish.local.sandbox.limits import check_environment, request_excess
from triggerfish.local.sandbox.pool import Throttled

if TYPE_CHECKING:
    from triggerfish.local.sandbox.functions import Catalogue
    from triggerfish.local.sandbox.http import Request
    from triggerfish.local.sandbox.isolation import Isolation
    from triggerfish.local.sandbox.pool import Pools

TAIL_BYTES = 4096


class Endpoint:
    def __init__(self, catalogue: Catalogue, pools: Pools, isolation: Isolation) -> None:
        self._catalogue = catalogue
        self._pools = pools
        self._isolation = isolation
        self._running: set[asyncio.Task[Response]] = set()

    async def handle(self, request: Request) -> Response:
        if request.method == "GET":
            state = {"environments": self._pools.describe(), "isolation": self._isolation.mode}
            return _json(200, state)
        if request.method != "POST":
            return refusal(405, "InvalidRequest", f"{request.method}: wanted GET or POST")
        task = asyncio.create_task(self._answer(request))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._invoke(request)
        except Throttled as error:
            body = {"Reason": error.reason, "Type": "User", "message": "Rate Exceeded."}
            headers = {"X-Amzn-ErrorType": "TooManyRequestsException", "Retry-After": "1"}
            return _json(429, body, headers)
        except (Refused, Unavailable, OSError) as error:
            _say(str(error))
            return refusal(500, "ServiceException", str(error))
        except Exception as error:  # noqa: BLE001  the emulator must get an answer, and we a traceback
            _say("".join(traceback.format_exception(error)))
            return refusal(500, "ServiceException", f"{type(error).__name__}: {error}")

    async def _invoke(self, request: Request) -> Response:
        headers = request.headers
        version = headers.get("x-amzn-lambda-function-version", "$LATEST")
        arn = headers.get("x-amzn-lambda-function-arn", "")
        kind = headers.get("x-amz-invocation-type", "RequestResponse")
        try:
            name = parse_arn(arn, version=version)
            call = _call(request, arn)
        except InputError as error:
            return refusal(400, "InvalidParameterValueException", error.message)
        excess = request_excess(request.body, "Event" if kind == "Event" else "RequestResponse")
        if excess is not None:
            return refusal(413, "RequestTooLargeException", excess)
        try:
            found = await self._catalogue.find(name)
        except InputError as error:
            return refusal(404, "ResourceNotFoundException", error.message)
        try:
            check_environment(dict(found.function.environment))
        except InputError as error:
            _say(f"{name.name}: {error.message}")
            return refusal(400, "InvalidParameterValueException", error.message)
        code = await self._catalogue.code_folder(found)
        outcome = await InvocationRun(self._pools, found, call).run(code)
        answered = {"Content-Type": "application/json"}
        if outcome.failed:
            answered["X-Amz-Function-Error"] = "Unhandled"
        if headers.get("x-amz-log-type") == "Tail":
            tail = outcome.log.encode()[-TAIL_BYTES:]
            answered["X-Amz-Log-Result"] = base64.b64encode(tail).decode()
        return Response(status=200, body=outcome.body, headers=answered)


def _call(request: Request, arn: str) -> Call:
    headers = request.headers
    context = headers.get("x-amz-client-context")
    try:
        decoded = base64.b64decode(context, validate=True).decode() if context else None
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InputError("X-Amz-Client-Context is no base64 of UTF-8") from error
    return Call(
        request_id=headers.get("x-amzn-lambda-request-id") or str(uuid.uuid4()),
        arn=arn,
        payload=request.body,
        trace_id=headers.get("x-amzn-trace-id"),
        client_context=decoded,
    )


def refusal(status: int, error_type: str, message: str) -> Response:
    blame = "Service" if status >= 500 else "User"
    body = {"Type": blame, "message": message}
    return _json(status, body, {"X-Amzn-ErrorType": error_type})


def _json(status: int, body: object, headers: dict[str, str] | None = None) -> Response:
    all_headers = {"Content-Type": "application/json", **(headers or {})}
    return Response(status=status, body=json.dumps(body).encode(), headers=all_headers)


def _say(text: str) -> None:
    sys.stderr.write(f"sandbox: {text}\n")
    sys.stderr.flush()
