"""The notices function: keeps what comes, then tells what is due."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

from triggerfish.errors import InputError, Unavailable
from triggerfish.notices.assembly import outbox as make_outbox
from triggerfish.notices.canary import canary
from triggerfish.notices.config import NoticesSettings
from triggerfish.notices.store import OUTBOX
from triggerfish.runtime import log, settings
from triggerfish.runtime.aws import Clients, calling
from triggerfish.runtime.clock import SystemClock
from triggerfish.runtime.dead_letters import DeadLetters
from triggerfish.runtime.entry import LambdaContext, grouped_batch, lambda_handler
from triggerfish.runtime.envelopes import ScheduledEvent, SqsBatch, SqsRecord, parse_event
from triggerfish.runtime.lease import claim_wake
from triggerfish.runtime.notices import NoticeQueue, from_message
from triggerfish.runtime.table import DynamoTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.notice import Notice
    from triggerfish.notices.deliver import Outbox

STEP_MS = 40_000
"""A step is begun only with this much time left: an attempt on a channel, and its record."""
MOST_DELAY_S = 900
"""SQS: `DelaySeconds` is at most 15 minutes. What is later is found by the schedule."""
WAKE = json.dumps({"event": "triggerfish:wake"})


@cache
def clients() -> Clients:
    return Clients()


@cache
def dead_letters() -> DeadLetters:
    queue_url = settings.variable("TRIGGERFISH_DEAD_LETTER_QUEUE_URL")
    return DeadLetters(clients().sqs, queue_url, SystemClock())


@cache
def outbox() -> Outbox:
    return make_outbox(
        settings.load(NoticesSettings).notices,
        settings.variable("TRIGGERFISH_STACK"),
        clients(),
        DynamoTable(clients().dynamodb, settings.variable("TRIGGERFISH_TABLE")),
        SystemClock(),
        dead_letters=dead_letters(),
    )


def handle(event: object, context: LambdaContext) -> object:
    match parse_event(event):
        case SqsBatch(records):
            return handle_records(records, context)
        case ScheduledEvent(name="notices-canary") as scheduled:
            now = SystemClock().now()
            queue = NoticeQueue(clients().sqs, settings.variable("TRIGGERFISH_QUEUE_URL"))
            queue.send(canary(outbox().stack, scheduled.at or now))
            return None
        case ScheduledEvent():
            return tell(context)
        case other:
            raise InputError(f"the notices function takes no {type(other).__name__}")


def handle_records(records: Sequence[SqsRecord], context: LambdaContext) -> object:
    """Keep every notice; a message is acknowledged once its notice is told, or kept to be told."""
    notices: dict[str, Notice] = {}

    def keep(message_id: str, some: Sequence[SqsRecord]) -> None:
        for record in some:
            sent_ms = int((record.sent_at or SystemClock().now()).timestamp() * 1000)
            outbox().store.keep(notices[message_id], message_id, sent_ms)

    def message_id_of(record: SqsRecord) -> str | None:
        if record.body == WAKE:
            return None
        notices[record.message_id] = from_message(record.body)
        return record.message_id

    answer = grouped_batch(
        records,
        key=message_id_of,
        run=keep,
        dead_letter=dead_letters().send,
        remaining_ms=context.get_remaining_time_in_millis,
    )
    try:
        tell(context)
    except Unavailable as error:
        # What was kept is in the table: the schedule goes on within a minute.
        log.error("notices are kept and can't be told yet", error=error)
    return answer


def tell(context: LambdaContext) -> object:
    again_s = outbox().run(
        context.aws_request_id,
        lambda: context.get_remaining_time_in_millis() > STEP_MS,
    )
    if again_s is not None and again_s <= MOST_DELAY_S:
        wake(again_s)
    return {"again_s": again_s}


def wake(seconds: int) -> None:
    now_ms = int(SystemClock().now().timestamp() * 1000)
    if not claim_wake(outbox().table, OUTBOX, now_ms, seconds):
        return
    with calling("sqs:SendMessage", "wake-up of the outbox"):
        clients().sqs.send_message(
            QueueUrl=settings.variable("TRIGGERFISH_QUEUE_URL"),
            MessageBody=WAKE,
            DelaySeconds=seconds,
        )


handler = lambda_handler(
    "notices", handle, dead_letter=lambda event, why: dead_letters().send_event(event, why)
)
