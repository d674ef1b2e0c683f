"""The way to the sandbox, which runs the functions: one POST an invocation, connections kept open.

The sandbox's contract: 200 with the function's answer; 200 and `X-Amz-Function-Error` with the
runtime's exact error; 429 when it has no environment free; with `X-Amz-Log-Type: Tail` the end of
the log in `X-Amz-Log-Result`. Any other status, or no answer at all, is Lambda's failure and not
the function's; its `X-Amzn-ErrorType` and `message` are what the caller of Lambda is told.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import select
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS_OVER_TIMEOUT = 60.0
"""The sandbox ends a function at its timeout, and its init at 10 s; the client outwaits it."""

KEPT_OPEN = 64

TOLD = ("X-Amz-Function-Error", "X-Amz-Log-Result", "X-Amzn-ErrorType")


class ServiceError(Exception):
    """Lambda itself failed: the caller tries again, and no attempt of the function is counted."""

    def __init__(self, message: str, code: str = "ServiceException", status: int = 500) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status


class Sandbox:
    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self.url = url
        self._host = place.hostname or "127.0.0.1"
        self._port = place.port or 80
        self._path = place.path or "/"
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def invoke(
        self, config: dict[str, Any], payload: bytes, request_id: str, caller: Mapping[str, str]
    ) -> dict[str, Any]:
        """MiniStack's result of an execution: `body`, and `error` or `throttle` where it failed.

        `caller` has the headers by which who invoked the function asked for more.
        """
        timeout = int(config.get("Timeout") or 3)
        headers = {
            "Content-Type": "application/json",
            "X-Amzn-Lambda-Function-Name": config.get("FunctionName", ""),
            "X-Amzn-Lambda-Function-Version": config.get("Version", "$LATEST"),
            "X-Amzn-Lambda-Function-Arn": config.get("FunctionArn", ""),
            "X-Amzn-Lambda-Request-Id": request_id,
            "X-Amzn-Lambda-Deadline-Ms": str(int((time.time() + timeout) * 1000)),
            **caller,
        }
        status, told, body = self._post(payload, headers, timeout)
        if status == 200:
            return _function_result(body.decode(), told)
        reason = _object(body)
        if status == 429:
            return _throttled(reason)
        message = str(reason.get("message") or f"the sandbox at {self.url} answered {status}")
        raise ServiceError(message, told.get("X-Amzn-ErrorType", "ServiceException"), status)

    def _post(
        self, payload: bytes, headers: dict[str, str], timeout: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        connection = self._take()
        connection.timeout = timeout + SECONDS_OVER_TIMEOUT
        try:
            if connection.sock is not None:
                connection.sock.settimeout(connection.timeout)
            connection.request("POST", self._path, payload, headers)
            response = connection.getresponse()
            told = {name: response.headers[name] for name in TOLD if name in response.headers}
            answer = response.status, told, response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ServiceError(f"the sandbox at {self.url} does not answer: {error!r}") from error
        self._give_back(connection)
        return answer

    def _take(self) -> http.client.HTTPConnection:
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if _open(connection):
                    return connection
                connection.close()
        return http.client.HTTPConnection(self._host, self._port)

    def _give_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if connection.sock is not None and len(self._idle) < KEPT_OPEN:
                self._idle.append(connection)
                return
        connection.close()


def _open(connection: http.client.HTTPConnection) -> bool:
    """Whether the peer still holds its end: an idle connection with something to read is closed."""
    if connection.sock is None:
        return False
    poll = select.poll()
    with contextlib.suppress(OSError, ValueError):
        poll.register(connection.sock, select.POLLIN)
        return not poll.poll(0)
    return False


def _function_result(text: str, told: Mapping[str, str]) -> dict[str, Any]:
    """A string `body` passes to the caller as it is, byte for byte."""
    log = base64.b64decode(told.get("X-Amz-Log-Result", "")).decode(errors="replace")
    failed = told.get("X-Amz-Function-Error")
    if failed is not None:
        return {"body": text, "error": True, "function_error": failed, "log": log}
    return {"body": text or None, "raw_payload": True, "log": log}


def _object(body: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        told = json.loads(body)
        if isinstance(told, dict):
            return told
    return {}


def _throttled(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "throttle": True,
        "error": True,
        "log": "",
        "body": {
            "__type": "TooManyRequestsException",
            "message": told.get("message") or "Rate Exceeded.",
            "Reason": told.get("Reason", "ConcurrentInvocationLimitExceeded"),
            "retryAfterSeconds": "1",
        },
    }
