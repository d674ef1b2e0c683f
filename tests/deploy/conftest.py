"""The emulator, started once a session on a port of its own and stopped by its process id."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from triggerfish.local.environments import emulator_python
from triggerfish.runtime.aws import ANY_SERVICE, Clients, Credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS_TO_START = 30


@pytest.fixture(scope="session")
def aws_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("emulator")
    port = _free_port()
    environment = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "HOME": str(folder),
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_ACCOUNT_ID": "123456789012",
        "PATH": "/usr/bin:/bin",
        "SFTP_ENABLED": "0",
    }
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [emulator_python(), "-m", "ministack"],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + SECONDS_TO_START
            while not _answers(port):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture
def clients(aws_url: str) -> Iterator[Clients]:
    clients = Clients(
        region="eu-west-1",
        endpoints={ANY_SERVICE: aws_url},
        credentials=Credentials("test", "test"),
    )
    yield clients
    clients.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
