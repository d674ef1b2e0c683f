"""The whole path with the real emulator: its Invoke, our endpoint, its GetFunction and its logs."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.local.sandbox.lab import Lab, eventually
from triggerfish.local.environments import emulator_python
from triggerfish.local.fakes.lambda_api import zipped
from triggerfish.local.sandbox.http import authorization

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.cloud


class Emulator:
    """Calls to the emulator's API."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.url = f"http://127.0.0.1:{port}"

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        service: str = "lambda",
        target: str = "",
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {
            "Authorization": authorization("test", "eu-west-1", service),
            "Content-Type": "application/x-amz-json-1.1" if target else "application/json",
        }
        if target:
            headers["X-Amz-Target"] = target
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    @property
    def up(self) -> bool:
        try:
            return self.call("GET", "/_ministack/health")[0] == 200
        except OSError:
            return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    port = free_port()
    environment = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_ACCOUNT_ID": "123456789012",
        "SFTP_ENABLED": "0",
        "HOME": str(tmp_path),
    }
    with (tmp_path / "emulator.log").open("wb") as log:
        child = subprocess.Popen(
            [emulator_python(), "-m", "ministack"], env=environment, stdout=log, stderr=log
        )
        try:
            found = Emulator(port)
            eventually(lambda: found.up, "the emulator")
            yield found
        finally:
            child.kill()
            child.wait()


def test_an_invocation_goes_through(emulator: Emulator, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    lab = Lab(emulator, state)
    try:
        code = zipped({"app.py": "def handler(event, context): return [event, __file__]"})
        function: dict[str, object] = {
            "FunctionName": "f",
            "Runtime": "python3.13",
            "Handler": "app.handler",
            "Role": "arn:aws:iam::123456789012:role/r",
            "Code": {"ZipFile": base64.b64encode(code).decode()},
            "Environment": {"Variables": {"MINISTACK_LAMBDA_PROXY_URL": str(lab.ready["url"])}},
        }
        assert emulator.call("POST", "/2015-03-31/functions", function)[0] == 201
        answer = emulator.call("POST", "/2015-03-31/functions/f/invocations", {"a": "é"})
        assert answer[0] == 200
        assert json.loads(answer[1]) == [{"a": "é"}, "/var/task/app.py"]

        def logged() -> bool:
            query = {"logGroupName": "/aws/lambda/f"}
            target = "Logs_20140328.FilterLogEvents"
            found = emulator.call("POST", "/", query, service="logs", target=target)
            return b"INIT_START Runtime Version: python:3.13" in found[1]

        eventually(logged, "the log in the emulator")
    finally:
        lab.stop()
