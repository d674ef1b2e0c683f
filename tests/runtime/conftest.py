"""The emulator, started once a session on a port of its own and stopped by its process id."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.emulator import clients_of, running_emulator
from triggerfish.runtime import log
from triggerfish.runtime.table import DynamoTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triggerfish.runtime.aws import Clients


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
    with running_emulator(tmp_path_factory.mktemp("emulator")) as url:
        yield url


@pytest.fixture
def clients(aws_url: str) -> Iterator[Clients]:
    clients = clients_of(aws_url)
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
