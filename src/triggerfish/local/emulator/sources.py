"""Queues that invoke functions: event source mappings as Lambda's pollers serve them.

MiniStack polls every second and pauses after an idle wake (a delayed message comes up to a second
late), takes ten messages at most, ignores the batching window, keeps a whole mapping waiting after
one failure, and deletes from a worker thread what the event loop is adding to.

Sources: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html and
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

# ruff: noqa: SLF001  what MiniStack calls private is what is mended here

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import guard
from .invocations import SERVICE_RETRY_S
from .loop import OWNER
from .sandbox import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logger = logging.getLogger("sources")

Message = dict[str, Any]
Settings = dict[str, Any]

RECEIVE_MAX = 10
"""Messages in one ReceiveMessage, whatever the batch size."""

INVOCATION_BYTES = 6 * 1024 * 1024
BYTES_AROUND_BODY = 2048
"""Room for a record's other fields and for the quoting of its body."""

IDLE_S = 5.0


class Wake(threading.Event):
    """MiniStack's signal that a source gained work, which also wakes our poller at once."""

    def __init__(self) -> None:
        super().__init__()
        self.listener: Callable[[], None] | None = None

    def set(self) -> None:
        super().set()
        if self.listener is not None:
            OWNER.soon(self.listener)


def install_wake() -> Wake:
    """Before any service is imported: each keeps its own reference to the signal."""
    from ministack.core import concurrency  # noqa: PLC0415

    guard.attribute(concurrency, "esm_wake", "a message must reach its function at once")
    wake = Wake()
    concurrency.esm_wake = wake
    return wake


def mend(wake: Wake, changed: Callable[[str], None]) -> Poller:
    from ministack.core import concurrency, responses  # noqa: PLC0415
    from ministack.services import eventbridge, lambda_svc, sqs  # noqa: PLC0415

    poller = Poller(lambda_svc, sqs, responses.request_scope, concurrency.spawn_background, changed)
    wake.listener = poller.wake
    late = "messages must reach their function as they become visible, in batches as configured"
    guard.replace(lambda_svc, "_poll_sqs", (), lambda: False, gap=late)
    start = guard.replace(lambda_svc, "_ensure_poller", (), lambda: None, gap=late)

    def ensure_poller() -> None:
        poller.wake()
        mappings = (mapping for _account, _region, mapping in lambda_svc._iter_all_esms())
        if any(":sqs:" not in mapping.get("EventSourceArn", "") for mapping in mappings):
            start()

    lambda_svc._ensure_poller = ensure_poller
    racing = "a queue is changed by one thread only"
    deliver = guard.attribute(eventbridge, "_dispatch_to_sqs", racing)
    eventbridge._dispatch_to_sqs = lambda *args: OWNER.run(deliver, *args)
    for name in ("_receive_messages_for_esm", "_collect_msgs", "_delete_messages_for_esm"):
        guard.attribute(sqs, name, late)
    return poller


@dataclass(slots=True)
class Held:
    """What one mapping has in its hands."""

    messages: list[Message] = field(default_factory=list)
    since: float = 0.0
    running: int = 0


class Poller:
    """Serves every SQS mapping from the event loop; only the functions run in threads."""

    def __init__(
        self,
        lambda_svc: Any,
        sqs: Any,
        scope: Callable[[str, str], Any],
        spawn: Callable[..., Any],
        changed: Callable[[str], None],
    ) -> None:
        self._lambda = lambda_svc
        self._sqs = sqs
        self._scope = scope
        self._spawn = spawn
        self._changed = changed
        self._held: dict[str, Held] = {}
        self._awake: asyncio.Event | None = None

    def wake(self) -> None:
        if self._awake is not None:
            self._awake.set()

    async def run(self) -> None:
        self._awake = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._return_interrupted()
        while True:
            self._awake.clear()
            alarm = loop.call_later(self._serve_all(), self.wake)
            await self._awake.wait()
            alarm.cancel()

    def _mappings(self) -> Iterable[tuple[str, str, Settings]]:
        for account, region, mapping in self._lambda._iter_all_esms():
            if ":sqs:" in mapping.get("EventSourceArn", ""):
                yield account, region, mapping

    def _return_interrupted(self) -> None:
        """At start no function runs, so what a mapping had received is visible again."""
        for account, region, mapping in self._mappings():
            with self._scope(account, region):
                queue = self._sqs._queue_by_arn(mapping["EventSourceArn"]) or {"messages": ()}
            for message in queue["messages"]:
                if message.get("receive_count"):
                    message["visible_at"] = min(message["visible_at"], time.time())

    def _serve_all(self) -> float:
        """Serve each mapping once; the seconds until one of them may have something to do."""
        pause = IDLE_S
        for account, region, mapping in self._mappings():
            if not mapping.get("Enabled", True):
                continue
            try:
                with self._scope(account, region):
                    pause = min(pause, self._serve(mapping))
            except Exception:
                logger.exception("event source mapping %s", mapping.get("UUID"))
        return max(pause, 0.001)

    def _serve(self, mapping: Settings) -> float:
        function, config = self._lambda._get_func_record_for_qualifier(
            mapping["FunctionName"], mapping.get("Qualifier")
        )
        queue = self._sqs._queue_by_arn(mapping["EventSourceArn"])
        if function is None or queue is None:
            return IDLE_S
        held = self._held.setdefault(mapping["UUID"], Held())
        limit = self._lambda._sqs_esm_concurrency(mapping, function, config, queue)
        size = int(mapping.get("BatchSize") or RECEIVE_MAX)
        window = float(mapping.get("MaximumBatchingWindowInSeconds") or 0)
        while held.running < limit:
            self._receive(held, queue, size)
            if not held.messages:
                return _until_visible(queue)
            left = held.since + window - time.time()
            if len(held.messages) < size and left > 0:
                return min(left, _until_visible(queue))
            batch = fitting(held.messages)
            held.messages = held.messages[len(batch) :]
            self._dispatch(mapping, held, function, queue, batch)
        return IDLE_S

    def _receive(self, held: Held, queue: Settings, size: int) -> None:
        while len(held.messages) < size:
            wanted = min(RECEIVE_MAX, size - len(held.messages))
            got = self._sqs._receive_messages_for_esm(queue["url"], wanted)
            if not got:
                return
            self._changed("sqs")
            if not held.messages:
                held.since = time.time()
            held.messages += got

    def _dispatch(
        self,
        mapping: Settings,
        held: Held,
        function: Settings,
        queue: Settings,
        batch: list[Message],
    ) -> None:
        records = [_record(message, mapping["EventSourceArn"], self._lambda) for message in batch]
        wanted = self._lambda._apply_filter_criteria(records, mapping)
        names = {record["messageId"] for record in wanted}
        self._delete(queue["url"], [message for message in batch if message["id"] not in names])
        batch = [message for message in batch if message["id"] in names]
        if not batch:
            return
        held.running += 1
        self._spawn(
            self._invoke,
            mapping,
            held,
            function,
            queue,
            batch,
            {"Records": wanted},
            thread_name="source",
        )

    def _invoke(
        self,
        mapping: Settings,
        held: Held,
        function: Settings,
        queue: Settings,
        batch: list[Message],
        event: Settings,
    ) -> None:
        failed: set[str] | None = None
        try:
            until = min(message["visible_at"] for message in batch)
            result = self._result(function, event, until)
            if not result.get("error"):
                failed = failures(mapping, result.get("body"), {m["id"] for m in batch})
        finally:
            OWNER.run(self._settle, held, queue["url"], batch, failed)

    def _result(self, function: Settings, event: Settings, until: float) -> Settings:
        """Lambda's own failures and throttles are tried again while the messages are ours."""
        tries = 0
        while True:
            try:
                result: Settings = self._lambda._execute_function(function, event)
            except ServiceError as error:
                logger.warning("event source mapping: %s", error)
                result = {"error": True, "throttle": True}
            pause = SERVICE_RETRY_S[min(tries, len(SERVICE_RETRY_S) - 1)]
            if not result.get("throttle") or time.time() + pause > until:
                return result
            tries += 1
            time.sleep(pause)

    def _settle(self, held: Held, url: str, batch: list[Message], failed: set[str] | None) -> None:
        """Delete what succeeded; the rest comes back when its visibility timeout ends."""
        held.running -= 1
        if failed is not None:
            self._delete(url, [message for message in batch if message["id"] not in failed])
        self.wake()

    def _delete(self, url: str, messages: list[Message]) -> None:
        if messages:
            handles = {message["receipt_handle"] for message in messages}
            self._sqs._delete_messages_for_esm(url, handles)
            self._changed("sqs")


def failures(mapping: Settings, body: object, sent: set[str]) -> set[str] | None:
    """The message ids that failed; None when the whole batch counts as failed.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    if "ReportBatchItemFailures" not in (mapping.get("FunctionResponseTypes") or []):
        return set()
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            return None
    if body is None:
        return set()
    if not isinstance(body, dict):
        return None
    failed = set()
    for item in body.get("batchItemFailures") or []:
        name = item.get("itemIdentifier") if isinstance(item, dict) else None
        if not isinstance(name, str) or name not in sent:
            return None
        failed.add(name)
    return failed


def fitting(messages: list[Message]) -> list[Message]:
    """As many of the first messages as one invocation can carry, and one at least."""
    size = 0
    for count, message in enumerate(messages):
        size += len(message["body"].encode()) + BYTES_AROUND_BODY
        if size > INVOCATION_BYTES and count:
            return messages[:count]
    return messages


def _until_visible(queue: Settings) -> float:
    """Seconds until a delayed or invisible message may be received."""
    now = time.time()
    due = [m["visible_at"] - now for m in queue["messages"] if m.get("visible_at", 0) > now]
    return min(due, default=IDLE_S)


def _record(message: Message, source_arn: str, lambda_svc: Any) -> Settings:
    attributes = {
        "ApproximateReceiveCount": str(message.get("receive_count", 1)),
        "SentTimestamp": str(int(message["sent_at"] * 1000)),
        "SenderId": (message.get("sys") or {}).get("SenderId") or lambda_svc.get_account_id(),
        "ApproximateFirstReceiveTimestamp": str(
            int((message.get("first_receive_at") or time.time()) * 1000)
        ),
    }
    for name in ("AWSTraceHeader", "DeadLetterQueueSourceArn"):
        if (message.get("sys") or {}).get(name):
            attributes[name] = message["sys"][name]
    for key, name in (
        ("group_id", "MessageGroupId"),
        ("dedup_id", "MessageDeduplicationId"),
        ("seq", "SequenceNumber"),
    ):
        if message.get(key) is not None:
            attributes[name] = str(message[key])
    record = {
        "messageId": message["id"],
        "receiptHandle": message["receipt_handle"],
        "body": message["body"],
        "attributes": attributes,
        "messageAttributes": _message_attributes(message.get("message_attributes") or {}),
        "md5OfBody": message.get("md5_body") or message.get("md5") or "",
        "eventSource": "aws:sqs",
        "eventSourceARN": source_arn,
        "awsRegion": lambda_svc.get_region(),
    }
    if message.get("md5_attrs"):
        record["md5OfMessageAttributes"] = message["md5_attrs"]
    return record


def _message_attributes(attributes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """As Lambda writes them: camelCase, the two lists always there."""
    return {
        name: {
            "stringListValues": [],
            "binaryListValues": [],
            **{key[:1].lower() + key[1:]: value for key, value in attribute.items()},
        }
        for name, attribute in attributes.items()
    }
