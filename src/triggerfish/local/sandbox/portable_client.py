"""AWS's `runtime_client` in plain Python, for machines it isn't built for (macOS).

Loaded by `bootstrap.py` in the Lambda interpreter under the name `runtime_client`; has the four
functions that `awslambdaric.lambda_runtime_client` calls. Standard library only.
"""

from __future__ import annotations

import http.client
import os
import socket

_PREFIX = "/2018-06-01/runtime/invocation/"
_user_agent = ""
_connection: http.client.HTTPConnection | None = None


def initialize_client(user_agent: str) -> None:
    global _user_agent  # noqa: PLW0603  the interface AWS's module has
    _user_agent = user_agent


def next() -> tuple[bytes, dict[str, str | int]]:  # noqa: A001  the name AWS's module has
    body, headers = _call("GET", "next", None, {}, 200)
    found: dict[str, str | int] = dict(headers)
    found["Lambda-Runtime-Deadline-Ms"] = int(headers["Lambda-Runtime-Deadline-Ms"])
    return body, found


def post_invocation_result(
    invoke_id: str, data: bytes, content_type: str, invocation_id: str | None = None
) -> None:
    del invocation_id
    _call("POST", f"{invoke_id}/response", data, {"Content-Type": content_type}, 202)


def post_error(
    invoke_id: str, data: str, xray_fault: str, invocation_id: str | None = None
) -> None:
    del xray_fault, invocation_id
    headers = {"Content-Type": "application/json"}
    _call("POST", f"{invoke_id}/error", data.encode(), headers, 202)


def _call(
    method: str, path: str, body: bytes | None, headers: dict[str, str], wanted: int
) -> tuple[bytes, http.client.HTTPMessage]:
    global _connection  # noqa: PLW0603  one connection for the process, as AWS's client keeps one
    if _connection is None:
        _connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
        _connection.connect()
        _connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _connection.request(method, _PREFIX + path, body, {"User-Agent": _user_agent, **headers})
    response = _connection.getresponse()
    answer = response.read()
    if response.status != wanted:
        raise RuntimeError(f"Runtime API answered {response.status} to {method} {path}")
    return answer, response.headers
