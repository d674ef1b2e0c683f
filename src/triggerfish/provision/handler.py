"""The provision function: woken by messages about groups, and every minute for all of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from triggerfish.errors import Error, InputError
from triggerfish.provision.assembly import Assembly
from triggerfish.provision.config import ProvisionSettings
from triggerfish.provision.events import GroupEvent, notice_of, parse_message, standby_return
from triggerfish.provision.reconcile import reconcile
from triggerfish.runtime import log, settings
from triggerfish.runtime.aws import Clients
from triggerfish.runtime.clock import SystemClock
from triggerfish.runtime.dead_letters import DeadLetters
from triggerfish.runtime.entry import LambdaContext, grouped_batch, lambda_handler
from triggerfish.runtime.envelopes import (
    ScheduledEvent,
    SqsBatch,
    SqsRecord,
    parse_event,
    sns_in_sqs,
)
from triggerfish.runtime.table import DynamoTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROUND_MS = 10_000
"""A round is begun only with this much time left: it ends with writes that must not be cut off."""

LOOK_AGAIN_S = 5
"""After an event about a group that shows nothing new yet: AWS's answers lag behind its events."""


@cache
def assembly() -> Assembly:
    clients = Clients()
    return Assembly(
        settings.load(ProvisionSettings),
        clients,
        DynamoTable(clients.dynamodb, settings.variable("TRIGGERFISH_TABLE")),
        SystemClock(),
        queue_url=settings.variable("TRIGGERFISH_QUEUE_URL"),
        parameters=settings.parameters(),
    )


@cache
def dead_letters() -> DeadLetters:
    queue_url = settings.variable("TRIGGERFISH_DEAD_LETTER_QUEUE_URL")
    return DeadLetters(Clients().sqs, queue_url, SystemClock())


def handle(event: object, context: LambdaContext) -> object:
    match parse_event(event):
        case SqsBatch(records):
            return handle_records(records, context)
        case ScheduledEvent():
            return sweep(context)
        case other:
            raise InputError(f"the provision function takes no {type(other).__name__}")


def handle_records(records: Sequence[SqsRecord], context: LambdaContext) -> object:
    events: dict[str, GroupEvent] = {}

    def group_of(record: SqsRecord) -> str | None:
        event = events[record.message_id] = parse_message(sns_in_sqs(record).message)
        if event.kind == "test" or event.group not in assembly().groups:
            log.info("nothing to do", kind=event.kind, group=event.group)
            return None
        return event.group

    def run(group: str, some: Sequence[SqsRecord]) -> None:
        about = [events[record.message_id] for record in some]
        for notice in filter(None, map(notice_of, about)):
            assembly().tell(notice)
        returns = {e.instance: e.activity for e in about if standby_return(e)}
        ahead = any(event.kind in {"launch", "hook"} for event in about)
        look_at(group, context, LOOK_AGAIN_S if ahead else None, returns)

    return grouped_batch(
        records,
        key=group_of,
        run=run,
        dead_letter=dead_letters().send,
        remaining_ms=context.get_remaining_time_in_millis,
    )


def sweep(context: LambdaContext) -> object:
    """Look at every group; what is wrong with one doesn't keep the others from being looked at."""
    failed: dict[str, str] = {}
    for group in assembly().groups:
        try:
            look_at(group, context)
        except Error as error:
            log.error("the sweep of a group failed", group=group, error=error)
            failed[group] = error.message
    return {"groups": len(assembly().groups), "failed": failed}


def look_at(
    group: str,
    context: LambdaContext,
    wake_at_least_s: int | None = None,
    returns: Mapping[str, str] | None = None,
) -> None:
    reconcile(
        assembly().groups[group],
        assembly().ports,
        run=f"{context.aws_request_id}/{group}",
        may_go_on=lambda: context.get_remaining_time_in_millis() > ROUND_MS,
        wake_at_least_s=wake_at_least_s,
        returns=returns,
    )


handler = lambda_handler(
    "provision", handle, dead_letter=lambda event, why: dead_letters().send_event(event, why)
)
