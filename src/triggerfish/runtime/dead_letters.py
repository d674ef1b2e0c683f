"""Keeping what can't be handled: the message as it came, with the reason, until a person looks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from triggerfish.blueprint import Call
from triggerfish.runtime import log
from triggerfish.runtime.aws import calling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageAttributeValueTypeDef

    from triggerfish.runtime.envelopes import SqsRecord
    from triggerfish.types import Clock

MAX_REASON = 256
MAX_ATTRIBUTES = 10
MAX_MESSAGE_BYTES = 1024 * 1024
"""Body and attributes together.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

OURS = ("reason", "source_queue_arn", "message_id", "first_failed_at")


def dead_letter_calls(queue_id: str) -> tuple[Call, ...]:
    """Say which calls writing to the dead letters of the blueprint's queue `queue_id` takes."""
    return (Call("sqs:SendMessage", f"${{{queue_id}DeadLetterQueue.Arn}}"),)


class DeadLetters:
    """Writes to one dead-letter queue.

    The attributes are `OURS`; a message that was replayed and failed again keeps its first time.
    The message's own attributes stay, as many as SQS allows beside ours.
    """

    def __init__(self, sqs: SQSClient, queue_url: str, clock: Clock) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._clock = clock

    def send(self, record: SqsRecord, reason: str) -> None:
        """Keep a message from a queue. Raises Unavailable, and then it must not be acknowledged."""
        attributes = record.message_attributes
        ours = {
            "reason": _reason(reason),
            "source_queue_arn": record.queue_arn,
            "message_id": record.message_id,
            "first_failed_at": attributes.get("first_failed_at") or self._now(),
        }
        theirs = {name: value for name, value in attributes.items() if name not in OURS}
        self._send(
            record.body, {**ours, **dict(list(theirs.items())[: MAX_ATTRIBUTES - len(OURS)])}
        )
        log.error("dead-lettered", reason=_reason(reason), message_id=record.message_id)

    def send_event(self, event: object, reason: str) -> None:
        """Keep a whole event, one that did not come from a queue or could not be read as such."""
        self._send(json.dumps(event), {"reason": _reason(reason), "first_failed_at": self._now()})
        log.error("dead-lettered", reason=_reason(reason))

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="milliseconds")

    def _send(self, body: str, values: Mapping[str, str | bytes]) -> None:
        attributes = {name: _attribute(value) for name, value in values.items() if value}
        size = sum(len(name) + 6 + len(value) * 4 for name, value in values.items())
        if len(body.encode()) + size > MAX_MESSAGE_BYTES:
            attributes = {}  # the message matters more than what we know about it
        with calling("sqs:SendMessage", self._queue_url):
            self._sqs.send_message(
                QueueUrl=self._queue_url, MessageBody=body, MessageAttributes=attributes
            )


def _attribute(value: str | bytes) -> MessageAttributeValueTypeDef:
    if isinstance(value, bytes):
        return {"DataType": "Binary", "BinaryValue": value}
    return {"DataType": "String", "StringValue": value}


def _reason(reason: str) -> str:
    """SQS refuses control characters, and a person reads this in a list: one line, cut."""
    words = "".join(letter if letter.isprintable() else " " for letter in reason).split()
    text = " ".join(words) or "no reason given"
    return text if len(text) <= MAX_REASON else f"{text[: MAX_REASON - 3]}..."
