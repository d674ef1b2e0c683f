"""The provision function: woken by messages about groups, and every minute for all of them."""

from __future__ import annotations

import os
from functools import cache

from triggerfish.errors import InputError
from triggerfish.provision.assembly import Assembly
from triggerfish.provision.config import ProvisionSettings
from triggerfish.provision.waking import on_records, sweep
from triggerfish.runtime import settings
from triggerfish.runtime.aws import Clients
from triggerfish.runtime.clock import SystemClock
from triggerfish.runtime.dead_letters import DeadLetters
from triggerfish.runtime.entry import LambdaContext, lambda_handler
from triggerfish.runtime.envelopes import (
    ScheduledEvent,
    SqsBatch,
    parse_event,
)
from triggerfish.runtime.notices import QUEUE_VARIABLE, NoticeQueue
from triggerfish.runtime.table import DynamoTable


@cache
def assembly() -> Assembly:
    clients = Clients()
    notices_url = os.environ.get(QUEUE_VARIABLE)
    return Assembly(
        settings.load(ProvisionSettings),
        clients,
        DynamoTable(clients.dynamodb, settings.variable("TRIGGERFISH_TABLE")),
        SystemClock(),
        queue_url=settings.variable("TRIGGERFISH_QUEUE_URL"),
        parameters=settings.parameters(),
        notices=NoticeQueue(clients.sqs, notices_url) if notices_url else None,
    )


@cache
def dead_letters() -> DeadLetters:
    queue_url = settings.variable("TRIGGERFISH_DEAD_LETTER_QUEUE_URL")
    return DeadLetters(Clients().sqs, queue_url, SystemClock())


def handle(event: object, context: LambdaContext) -> object:
    match parse_event(event):
        case SqsBatch(records):
            return on_records(assembly(), records, context, dead_letters)
        case ScheduledEvent():
            return sweep(assembly(), context)
        case other:
            raise InputError(f"the provision function takes no {type(other).__name__}")


handler = lambda_handler(
    "provision", handle, dead_letter=lambda event, why: dead_letters().send_event(event, why)
)
