"""The audit function: woken by logs that land, by CloudWatch Logs, and every hour."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from triggerfish.audit.assembly import Assembly
from triggerfish.audit.config import AuditSettings
from triggerfish.audit.inputs import Calls, GoOn, Objects, is_log_batch, log_batch, message
from triggerfish.audit.s3 import BUCKET_VARIABLE
from triggerfish.errors import InputError, Unavailable
from triggerfish.runtime import log, settings
from triggerfish.runtime.aws import Clients
from triggerfish.runtime.clock import SystemClock
from triggerfish.runtime.dead_letters import DeadLetters
from triggerfish.runtime.entry import LambdaContext, grouped_batch, lambda_handler
from triggerfish.runtime.envelopes import ScheduledEvent, SqsBatch, SqsRecord, parse_event
from triggerfish.runtime.notices import QUEUE_VARIABLE, NoticeQueue
from triggerfish.runtime.table import DynamoTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STOP_MS = 20_000
"""A reading stops with this much time left: what it found has to be written down and told."""


@cache
def assembly() -> Assembly:
    clients = Clients()
    told = os.environ.get(QUEUE_VARIABLE)
    return Assembly(
        settings.load(AuditSettings),
        clients,
        DynamoTable(clients.dynamodb, settings.variable("TRIGGERFISH_TABLE")),
        SystemClock(),
        stack=settings.variable("TRIGGERFISH_STACK"),
        own_bucket=settings.variable(BUCKET_VARIABLE),
        queue_url=settings.variable("TRIGGERFISH_QUEUE_URL"),
        notices=NoticeQueue(clients.sqs, told) if told else None,
        dead_letters=dead_letters(),
    )


@cache
def dead_letters() -> DeadLetters:
    queue_url = settings.variable("TRIGGERFISH_DEAD_LETTER_QUEUE_URL")
    return DeadLetters(Clients().sqs, queue_url, SystemClock())


def handle(event: object, context: LambdaContext) -> object:
    if isinstance(event, dict) and is_log_batch(event):
        return handle_logs(event, context)
    match parse_event(event):
        case SqsBatch(records):
            return handle_records(records, context)
        case ScheduledEvent():
            return assembly().sweep(context.aws_request_id, lambda: may_go_on(context))
        case other:
            raise InputError(f"the audit function takes no {type(other).__name__}")


def handle_records(records: Sequence[SqsRecord], context: LambdaContext) -> object:
    """Write down which objects wait, then read for each cluster that has some."""

    def clusters_of(record: SqsRecord) -> tuple[str, ...] | None:
        match message(record):
            case GoOn(cluster):
                return (cluster,)
            case Calls(name, event):
                assembly().look_at_call(event, name)
                return None
            case Objects(objects):
                return tuple(sorted(assembly().ask_for(objects))) or None

    def run(clusters: tuple[str, ...], _: Sequence[SqsRecord]) -> None:
        for cluster in clusters:
            assembly().read(cluster, context.aws_request_id, lambda: may_go_on(context))

    return grouped_batch(
        records,
        key=clusters_of,
        run=run,
        dead_letter=dead_letters().send,
        remaining_ms=context.get_remaining_time_in_millis,
    )


def handle_logs(event: Mapping[str, object], context: LambdaContext) -> object:
    """Keep the lines, which nobody sends again, then read them; now, or with the next event."""
    batch = log_batch(event, region=settings.variable("AWS_REGION"))
    cluster = assembly().keep_batch(batch) if batch is not None else None
    if cluster is not None:
        try:
            assembly().read(cluster, context.aws_request_id, lambda: may_go_on(context))
        except Unavailable as error:
            log.warning("kept, and read later", cluster=cluster, error=error)
    return {}


def may_go_on(context: LambdaContext) -> bool:
    return context.get_remaining_time_in_millis() > STOP_MS


handler = lambda_handler(
    "audit", handle, dead_letter=lambda event, why: dead_letters().send_event(event, why)
)
