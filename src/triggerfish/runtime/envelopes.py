"""What wakes a function, as frozen classes: every envelope AWS puts around a message. Pure.

    match parse_event(event):
        case SqsBatch(records):
            ...
        case ScheduledEvent():
            ...

Unknown keys and missing optional ones are tolerated: samples differ between years and services.
A field AWS always sends is required, and its absence is an InputError with the reason.
Samples of every shape are in `tests/events`.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote_plus

from msgspec import Struct, field

from triggerfish.errors import InputError
from triggerfish.runtime.event_bridge import (
    EventBridgeEvent,
    ScheduledEvent,
    event_bridge_event,
    schedule_input,
    scheduled_by_us,
    scheduled_or_bridged,
)
from triggerfish.runtime.http_request import HttpRequest, http_request
from triggerfish.runtime.wire import converted, decoded, time_from_epoch_ms, time_from_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = [
    "Event",
    "EventBridgeEvent",
    "HttpRequest",
    "S3Batch",
    "S3Object",
    "ScheduledEvent",
    "SnsBatch",
    "SnsNotification",
    "SqsBatch",
    "SqsRecord",
    "event_bridge_event",
    "http_request",
    "parse_event",
    "s3_in_sqs",
    "schedule_input",
    "sns_in_sqs",
]


class SqsRecord(Struct, frozen=True, kw_only=True):
    message_id: str
    receipt_handle: str
    body: str
    attributes: Mapping[str, str]
    receive_count: int
    message_attributes: Mapping[str, str | bytes]
    queue_arn: str
    sent_at: datetime | None


class SnsNotification(Struct, frozen=True, kw_only=True):
    topic_arn: str | None
    """None for a message delivered raw: SQS does not say which topic it came from."""
    message_id: str
    subject: str | None
    message: str
    attributes: Mapping[str, str | bytes]
    sent_at: datetime | None


class S3Object(Struct, frozen=True, kw_only=True):
    """What happened to one object. The event is a hint: the object may be gone or newer by now."""

    bucket: str
    key: str
    """Decoded: as every S3 call takes it."""
    size: int | None
    etag: str | None
    version_id: str | None
    sequencer: str | None
    event_name: str
    """`ObjectCreated:Put`; through EventBridge its detail type, `Object Created`."""
    at: datetime | None


class SqsBatch(Struct, frozen=True):
    records: tuple[SqsRecord, ...]


class SnsBatch(Struct, frozen=True):
    notifications: tuple[SnsNotification, ...]


class S3Batch(Struct, frozen=True):
    """Empty for the test event that S3 sends when a notification is configured."""

    objects: tuple[S3Object, ...]


Event: TypeAlias = "SqsBatch | SnsBatch | S3Batch | EventBridgeEvent | ScheduledEvent | HttpRequest"


def parse_event(event: object) -> Event:
    """Parse what Lambda passes to a handler. Raises InputError with the reason."""
    if not isinstance(event, dict):
        raise InputError(f"an event is a JSON object, found {type(event).__name__}")
    if "Records" in event:
        return _batch(event["Records"])
    if _is_s3_test(event):
        return S3Batch(())
    if "requestContext" in event:
        return http_request(event)
    if "detail-type" in event:
        return scheduled_or_bridged(event_bridge_event(event))
    if "schedule" in event:
        return scheduled_by_us(event)
    raise InputError(f"an event of no known kind; its keys are {_some(event)}")


def _some(event: Mapping[object, object]) -> str:
    return ", ".join(repr(key)[:40] for key in list(event)[:10]) or "none"


# ---- Records ----


class _AnyRecord(Struct):
    """SNS writes `EventSource`, the others `eventSource`."""

    EventSource: str = ""
    eventSource: str = ""  # noqa: N815 - AWS's name


def _batch(records: object) -> SqsBatch | SnsBatch | S3Batch:
    kinds = converted(records, list[_AnyRecord], "Records")
    sources = sorted({kind.EventSource or kind.eventSource for kind in kinds})
    match sources:
        case ["aws:sqs"]:
            return SqsBatch(_sqs_records(records))
        case ["aws:sns"]:
            return SnsBatch(_sns_notifications(records))
        case ["aws:s3"]:
            return S3Batch(_s3_objects(records))
        case _:
            names = ", ".join(source[:40] or "none" for source in sources[:10]) or "none"
            raise InputError(f"Records of one known source are wanted; their sources are {names}")


# ---- SQS ----


class _Attribute(Struct, rename="camel"):
    string_value: str | None = None
    binary_value: str | None = None


class _Sqs(Struct, rename="camel"):
    message_id: str
    body: str
    receipt_handle: str = ""
    attributes: dict[str, str] = {}
    message_attributes: dict[str, _Attribute] = {}
    queue_arn: str = field(default="", name="eventSourceARN")


def _sqs_records(records: object) -> tuple[SqsRecord, ...]:
    return tuple(
        SqsRecord(
            message_id=record.message_id,
            receipt_handle=record.receipt_handle,
            body=record.body,
            attributes=record.attributes,
            receive_count=_count(record.attributes.get("ApproximateReceiveCount", "1")),
            message_attributes={
                name: _attribute_value(name, attribute.string_value, attribute.binary_value)
                for name, attribute in record.message_attributes.items()
            },
            queue_arn=record.queue_arn,
            sent_at=time_from_epoch_ms(record.attributes.get("SentTimestamp")),
        )
        for record in converted(records, list[_Sqs], "SQS records")
    )


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError("SQS records: ApproximateReceiveCount is not a number") from None


def _attribute_value(name: str, text: str | None, binary: str | None) -> str | bytes:
    if text is not None or binary is None:
        return text or ""
    try:
        return base64.b64decode(binary, validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"message attribute {name[:40]!r} is not base64") from None


# ---- SNS ----


class _SnsAttribute(Struct):
    Value: str = ""
    Type: str = "String"


class _Sns(Struct):
    Message: str
    MessageId: str
    TopicArn: str
    Subject: str | None = None
    Timestamp: str | None = None
    MessageAttributes: dict[str, _SnsAttribute] | None = None


class _SnsRecord(Struct):
    Sns: _Sns


def _sns_notifications(records: object) -> tuple[SnsNotification, ...]:
    wire = converted(records, list[_SnsRecord], "SNS records")
    return tuple(_notification(record.Sns) for record in wire)


def _notification(sns: _Sns) -> SnsNotification:
    return SnsNotification(
        topic_arn=sns.TopicArn,
        message_id=sns.MessageId,
        subject=sns.Subject,
        message=sns.Message,
        attributes={
            name: _attribute_value(name, None, attribute.Value)
            if attribute.Type == "Binary"
            else attribute.Value
            for name, attribute in (sns.MessageAttributes or {}).items()
        },
        sent_at=time_from_text(sns.Timestamp),
    )


def sns_in_sqs(record: SqsRecord) -> SnsNotification:
    """Take the SNS notification out of an SQS message; a message delivered raw is its own content.

    Raises InputError for an SNS envelope that is broken. What the message says is not looked at.
    """
    if envelope := _sns_envelope(record.body):
        return _notification(converted(envelope, _Sns, "SNS notification in SQS"))
    return SnsNotification(
        topic_arn=None,
        message_id=record.message_id,
        subject=None,
        message=record.body,
        attributes=record.message_attributes,
        sent_at=record.sent_at,
    )


def _sns_envelope(body: str) -> dict[str, object] | None:
    try:
        content = decoded(body, "the message")
    except InputError:
        return None
    if isinstance(content, dict) and content.get("Type") == "Notification":
        return content if "TopicArn" in content or "Message" in content else None
    return None


# ---- S3 ----


class _Bucket(Struct):
    name: str


class _S3Key(Struct, rename={"etag": "eTag", "version_id": "versionId"}):
    key: str
    size: int | None = None
    etag: str | None = None
    version_id: str | None = None
    sequencer: str | None = None


class _S3(Struct):
    bucket: _Bucket
    object: _S3Key


class _S3Record(Struct, rename="camel"):
    s3: _S3
    event_name: str
    event_time: str | None = None


class _BridgedKey(Struct, rename={"version_id": "version-id"}):
    key: str
    size: int | None = None
    etag: str | None = None
    version_id: str | None = None
    sequencer: str | None = None


class _BridgedS3(Struct):
    bucket: _Bucket
    object: _BridgedKey


def _s3_objects(records: object) -> tuple[S3Object, ...]:
    return tuple(
        S3Object(
            bucket=record.s3.bucket.name,
            key=unquote_plus(record.s3.object.key),
            size=record.s3.object.size,
            etag=record.s3.object.etag,
            version_id=record.s3.object.version_id,
            sequencer=record.s3.object.sequencer,
            event_name=record.event_name,
            at=time_from_text(record.event_time),
        )
        for record in converted(records, list[_S3Record], "S3 records")
    )


def s3_in_sqs(record: SqsRecord) -> tuple[S3Object, ...]:
    """Take the objects out of an SQS message holding an S3 event, also through SNS or EventBridge.

    Empty for S3's test event. Raises InputError for anything else.
    """
    content = decoded(sns_in_sqs(record).message, "the S3 event in SQS")
    if isinstance(content, dict):
        match parse_event(content):
            case S3Batch(objects):
                return objects
            case EventBridgeEvent(source="aws.s3") as event:
                return (_bridged_object(event),)
            case _:
                pass
    raise InputError("the SQS message does not hold an S3 event")


def _bridged_object(event: EventBridgeEvent) -> S3Object:
    """EventBridge does not URL-encode the key: it must not be decoded."""
    detail = converted(event.detail, _BridgedS3, "S3 event from EventBridge")
    return S3Object(
        bucket=detail.bucket.name,
        key=detail.object.key,
        size=detail.object.size,
        etag=detail.object.etag,
        version_id=detail.object.version_id,
        sequencer=detail.object.sequencer,
        event_name=event.detail_type,
        at=event.time,
    )


def _is_s3_test(event: Mapping[str, object]) -> bool:
    return event.get("Event") == "s3:TestEvent"
