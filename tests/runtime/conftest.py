"""The emulator, started once a session on a port of its own and stopped by its process id."""

from __future__ import annotations

import http.client
import logging
import socket
import subprocess
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from triggerfish.local.environments import emulator_python
from triggerfish.runtime import log
from triggerfish.runtime.aws import ANY_SERVICE, Clients, Credentials
from triggerfish.runtime.table import DynamoTable

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENT = {
    "BIND_HOST": "127.0.0.1",
    "MINISTACK_ACCOUNT_ID": "123456789012",
    "IOT_MTLS_ENABLED": "0",
    "SFTP_ENABLED": "0",
    "PATH": "/usr/bin:/bin",
}
SECONDS_TO_START = 30


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(log, "_process", {})
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def aws_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("emulator")
    port = free_port()
    with (
        (folder / "log").open("wb") as output,
        subprocess.Popen(
            [emulator_python(), "-m", "ministack"],
            env={**ENVIRONMENT, "GATEWAY_PORT": str(port), "HOME": str(folder)},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + SECONDS_TO_START
            while not answers(port):
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


@pytest.fixture
def dynamo_table(clients: Clients) -> DynamoTable:
    name = f"state-{uuid4()}"
    clients.dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    clients.dynamodb.get_waiter("table_exists").wait(TableName=name)
    return DynamoTable(clients.dynamodb, name)
