"""The way to the sandbox, which runs the functions: one POST an invocation, connections kept open.

The sandbox's contract: 200 with the function's answer; 200 and `X-Amz-Function-Error` with the
runtime's exact error; 429 when it has no environment free; 413 for a payload over Lambda's limit.
Anything else, or no answer at all, is a failure of the service and not of the function.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import threading
import time
from typing import Any
from urllib.parse import urlsplit

SECONDS_OVER_TIMEOUT = 60.0
"""The sandbox ends a function at its timeout, and its init at 10 s; the client outwaits it."""

KEPT_OPEN = 64


class ServiceError(Exception):
    """Lambda itself failed: the caller tries again, and no attempt of the function is counted."""


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
        self, config: dict[str, Any], payload: bytes, *, request_id: str, kind: str
    ) -> dict[str, Any]:
        """MiniStack's result of an execution: `body`, and `error` or `throttle` where it failed."""
        timeout = int(config.get("Timeout") or 3)
        headers = {
            "Content-Type": "application/json",
            "X-Amzn-Lambda-Function-Name": config.get("FunctionName", ""),
            "X-Amzn-Lambda-Function-Version": config.get("Version", "$LATEST"),
            "X-Amzn-Lambda-Function-Arn": config.get("FunctionArn", ""),
            "X-Amzn-Lambda-Request-Id": request_id,
            "X-Amzn-Lambda-Deadline-Ms": str(int((time.time() + timeout) * 1000)),
            "X-Amz-Invocation-Type": kind,
        }
        status, function_error, body = self._post(payload, headers, timeout)
        if status == 200:
            return _function_result(body.decode(), function_error)
        if status == 429:
            return _throttled(body)
        raise ServiceError(f"the sandbox at {self.url} answered {status}: {body[:200]!r}")

    def _post(
        self, payload: bytes, headers: dict[str, str], timeout: int
    ) -> tuple[int, str | None, bytes]:
        connection = self._take()
        connection.timeout = timeout + SECONDS_OVER_TIMEOUT
        try:
            if connection.sock is not None:
                connection.sock.settimeout(connection.timeout)
            connection.request("POST", self._path, payload, headers)
            response = connection.getresponse()
            answer = response.status, response.headers.get("X-Amz-Function-Error"), response.read()
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


def _function_result(text: str, function_error: str | None) -> dict[str, Any]:
    """A string `body` passes to the caller as it is, byte for byte."""
    if function_error is not None:
        return {"body": text, "error": True, "function_error": function_error, "log": ""}
    return {"body": text or None, "raw_payload": True, "log": ""}


def _throttled(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body or b"{}")
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    return {
        "throttle": True,
        "error": True,
        "log": "",
        "body": {
            "__type": "TooManyRequestsException",
            "message": told.get("message") or told.get("Message") or "Rate Exceeded.",
            "Reason": told.get("Reason", "ConcurrentInvocationLimitExceeded"),
            "retryAfterSeconds": "1",
        },
    }
