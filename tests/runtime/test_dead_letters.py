from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.events import event
from tests.runtime.test_envelopes import make_record
from triggerfish.blueprint import Call
from triggerfish.errors import Refused
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.runtime.dead_letters import DeadLetters, dead_letter_calls
from triggerfish.runtime.envelopes import SqsBatch, parse_event

if TYPE_CHECKING:
    from triggerfish.runtime.aws import Clients

pytestmark = pytest.mark.cloud


@pytest.fixture
def queue_url(clients: Clients) -> str:
    return clients.sqs.create_queue(
        QueueName=f"dead-{uuid4()}", Attributes={"MaximumMessageSize": "1048576"}
    )["QueueUrl"]


@pytest.fixture
def letters(clients: Clients, queue_url: str) -> DeadLetters:
    return DeadLetters(clients.sqs, queue_url, ManualClock())


def received(clients: Clients, queue_url: str) -> tuple[str, dict[str, Any]]:
    answer = clients.sqs.receive_message(
        QueueUrl=queue_url, MessageAttributeNames=["All"], WaitTimeSeconds=5
    )
    (message,) = answer["Messages"]
    attributes = {
        name: value.get("StringValue") or value.get("BinaryValue")
        for name, value in message.get("MessageAttributes", {}).items()
    }
    return message["Body"], attributes


def test_a_message_is_kept_as_it_came_with_the_reason(
    clients: Clients, queue_url: str, letters: DeadLetters
) -> None:
    record = make_record(
        'any "text"\n🐠', message_id="m-1", message_attributes={"team": "ops", "raw": b"\x00"}
    )
    letters.send(record, "no group\nis named\x00 so")
    assert received(clients, queue_url) == (
        'any "text"\n🐠',
        {
            "reason": "no group is named so",
            "source_queue_arn": "arn:aws:sqs:eu-west-1:123456789012:q",
            "message_id": "m-1",
            "first_failed_at": "2026-11-24T12:00:00.000+00:00",
            "team": "ops",
            "raw": b"\x00",
        },
    )


def test_a_message_replayed_keeps_the_time_it_failed_first(
    clients: Clients, queue_url: str, letters: DeadLetters
) -> None:
    batch = parse_event(event("sqs/dead_letter_replayed"))
    assert isinstance(batch, SqsBatch)
    letters.send(batch.records[0], "failed again")
    _, attributes = received(clients, queue_url)
    assert attributes["first_failed_at"] == "2026-11-01T00:00:00.000+00:00"
    assert attributes["reason"] == "failed again"


def test_a_reason_is_cut_and_never_empty(
    clients: Clients, queue_url: str, letters: DeadLetters
) -> None:
    letters.send(make_record("a"), "x" * 300)
    assert received(clients, queue_url)[1]["reason"] == "x" * 253 + "..."
    letters.send(make_record("b"), "\n")
    assert received(clients, queue_url)[1]["reason"] == "no reason given"


def test_a_message_has_no_more_attributes_than_sqs_takes(
    clients: Clients, queue_url: str, letters: DeadLetters
) -> None:
    many = {f"attribute{number}": "x" for number in range(10)}
    letters.send(make_record("a", message_attributes=many), "no")
    assert len(received(clients, queue_url)[1]) == 10


def test_the_largest_message_is_kept_without_attributes(
    clients: Clients, queue_url: str, letters: DeadLetters
) -> None:
    letters.send(make_record("x" * 1_048_576), "no")
    body, attributes = received(clients, queue_url)
    assert (len(body), attributes) == (1_048_576, {})


def test_a_whole_event_is_kept_as_json(
    clients: Clients, queue_url: str, letters: DeadLetters
) -> None:
    letters.send_event({"schedule": "sweep", "text": "\ud800"}, "not understood")
    body, attributes = received(clients, queue_url)
    assert json.loads(body) == {"schedule": "sweep", "text": "\ud800"}
    assert attributes == {
        "reason": "not understood",
        "first_failed_at": "2026-11-24T12:00:00.000+00:00",
    }


def test_a_queue_that_is_not_there_is_refused(clients: Clients, queue_url: str) -> None:
    letters = DeadLetters(clients.sqs, f"{queue_url}-gone", ManualClock())
    with pytest.raises(Refused, match="sqs:SendMessage, "):
        letters.send(make_record("a"), "no")


def test_permissions_name_the_one_queue() -> None:
    assert dead_letter_calls("Provision") == (
        Call("sqs:SendMessage", "${ProvisionDeadLetterQueue.Arn}"),
    )
