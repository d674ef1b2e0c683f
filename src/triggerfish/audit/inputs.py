"""What wakes the function, taken apart: which objects to read, or lines to keep first. Pure.

A queue message tells of objects that were created, or is our own request to go on with a cluster.
CloudWatch Logs sends a batch of lines.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import re
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from triggerfish.audit.logfile import log_group
from triggerfish.errors import InputError
from triggerfish.runtime.envelopes import s3_in_sqs
from triggerfish.runtime.wire import converted, decoded, time_from_epoch_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triggerfish.audit.config import Audit
    from triggerfish.audit.records import LogFile
    from triggerfish.runtime.envelopes import S3Object, SqsRecord

MOST_BATCH_BYTES = 64 * 1024 * 1024
"""Of a batch unpacked: far above what Lambda can be sent, far below what it has memory for."""


class Objects(Struct, frozen=True):
    """Objects that were created. Empty where a message tells of none: a test, a deletion."""

    objects: tuple[S3Object, ...]


class Calls(Struct, frozen=True):
    """A call to AWS that CloudTrail recorded, as EventBridge hands it on."""

    id: str
    event: dict[str, object]


class GoOn(Struct, frozen=True):
    """A run that had no time left asks for the next one."""

    cluster: str


class LogBatch(Struct, frozen=True, kw_only=True):
    """Lines of one log group, as CloudWatch Logs sent them."""

    file_name: str
    """What Redshift would have called the file: the engine tells kind and cluster by it."""
    id: str
    """The same for a batch that is sent again."""
    at: datetime
    text: bytes


def message(record: SqsRecord) -> Objects | Calls | GoOn:
    """What a message of the trigger's queue asks for. Raises InputError."""
    content = decoded(record.body, "the message")
    if isinstance(content, dict) and "go_on_with_cluster" in content:
        return GoOn(str(content["go_on_with_cluster"]))
    if isinstance(content, dict) and content.get("detail-type") == "AWS API Call via CloudTrail":
        detail = content.get("detail")
        found = detail.get("eventID") if isinstance(detail, dict) else None
        return Calls(str(found or record.message_id), content)
    return Objects(tuple(each for each in s3_in_sqs(record) if is_creation(each)))


def is_creation(event: S3Object) -> bool:
    """Whether an object is there since. A folder that the console makes is none."""
    created = event.event_name.startswith(("ObjectCreated:", "s3:ObjectCreated:", "Object Created"))
    return created and not event.key.endswith("/")


def is_wanted(file: LogFile, key: str, audit: Audit) -> bool:
    """Whether an object is for us: a log by its name, or something odd among Redshift's own."""
    if audit.clusters and file.cluster and file.cluster not in audit.clusters:
        return False
    return file.kind is not None or "/redshift/" in key


def go_on_message(cluster: str) -> str:
    return json.dumps({"go_on_with_cluster": cluster})


def object_event(bucket: str, key: str, *, version: str = "") -> dict[str, object]:
    """An event that asks for one object, as EventBridge would write it."""
    found = {"key": key} | ({"version-id": version} if version else {})
    return {
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {"bucket": {"name": bucket}, "object": found},
    }


# ---- CloudWatch Logs ----

_CLUSTER = re.compile("[A-Za-z0-9-]{1,64}")
_LOGS = {"connection": "connectionlog", "user": "userlog", "activity": "useractivitylog"}


class _Event(Struct, rename="camel"):
    id: str
    timestamp: int
    message: str


class _Batch(Struct, rename="camel"):
    message_type: str
    log_group: str = ""
    owner: str = ""
    log_events: list[_Event] = []


def is_log_batch(event: object) -> bool:
    return isinstance(event, dict) and "awslogs" in event


def log_batch(event: Mapping[str, object], *, region: str) -> LogBatch | None:
    """The lines of a subscription's event; None for its test. Raises InputError.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
    """
    batch = converted(decoded(_unpacked(event), "the log batch"), _Batch, "the log batch")
    if batch.message_type != "DATA_MESSAGE" or not batch.log_events:
        return None
    group = log_group(batch.log_group)
    if group.kind is None or not _CLUSTER.fullmatch(group.cluster):
        raise InputError("the log batch is of a group that isn't one of Redshift's audit logs")
    first = time_from_epoch_ms(batch.log_events[0].timestamp) or datetime.now(UTC)
    account = batch.owner if re.fullmatch("[0-9]{12}", batch.owner) else "0" * 12
    at = first.strftime("%Y-%m-%dT%H:%M")
    ids = "\0".join(each.id for each in batch.log_events)
    lines = [each.message.removesuffix("\n") for each in batch.log_events]
    return LogBatch(
        file_name=f"{account}_redshift_{region}_{group.cluster}_{_LOGS[group.kind]}_{at}.gz",
        id=hashlib.sha256(f"{batch.log_group}\0{ids}".encode()).hexdigest()[:32],
        at=first,
        text="".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"),
    )


def _unpacked(event: Mapping[str, object]) -> bytes:
    logs = event["awslogs"]
    data = logs.get("data") if isinstance(logs, dict) else None
    if not isinstance(data, str):
        raise InputError("the log batch has no data")
    try:
        packed = base64.b64decode(data, validate=True)
        stream = zlib.decompressobj(31)
        text = stream.decompress(packed, MOST_BATCH_BYTES)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise InputError(f"the log batch can't be unpacked: {error}") from error
    if stream.unconsumed_tail:
        raise InputError(f"the log batch unpacks to more than {MOST_BATCH_BYTES} bytes")
    if not stream.eof:
        raise InputError("the log batch can't be unpacked: it ends too early")
    return text


def batch_key(batch: LogBatch, prefix: str) -> str:
    """Where a batch is kept: by its content, so that one sent again is the same object."""
    return f"{prefix}{batch.at:%Y/%m/%d}/{batch.id}/{batch.file_name}"


def batch_body(batch: LogBatch) -> bytes:
    """The same bytes for the same lines: the time in a gzip header would make another etag."""
    return gzip.compress(batch.text, 6, mtime=0)
