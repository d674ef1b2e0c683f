"""From what woke the function to a look at the groups it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.provision.events import GroupEvent, notice_of, parse_message, standby_return
from triggerfish.provision.reconcile import reconcile
from triggerfish.runtime import log
from triggerfish.runtime.entry import grouped_batch, run_each
from triggerfish.runtime.envelopes import SqsRecord, sns_in_sqs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from triggerfish.provision.assembly import Assembly
    from triggerfish.runtime.dead_letters import DeadLetters
    from triggerfish.runtime.entry import BatchResponse, LambdaContext

ROUND_MS = 10_000
"""A round is begun only with this much time left: it ends with writes that must not be cut off."""

LOOK_AGAIN_S = 5
"""After an event about a group that shows nothing new yet: AWS's answers lag behind its events."""


def on_records(
    assembly: Assembly,
    records: Sequence[SqsRecord],
    context: LambdaContext,
    dead_letters: Callable[[], DeadLetters],
) -> BatchResponse:
    """Look once at each group that a batch is about; say which records must come again."""
    events: dict[str, GroupEvent] = {}

    def group_of(record: SqsRecord) -> str | None:
        event = events[record.message_id] = parse_message(sns_in_sqs(record).message)
        if event.kind == "test" or event.group not in assembly.groups:
            log.info("nothing to do", kind=event.kind, group=event.group)
            return None
        return event.group

    def run(group: str, some: Sequence[SqsRecord]) -> None:
        about = [events[record.message_id] for record in some]
        for notice in filter(None, map(notice_of, about)):
            assembly.tell(notice)
        returns = {e.instance: e.activity for e in about if standby_return(e)}
        ahead = any(event.kind in {"launch", "hook"} for event in about)
        _look_at(assembly, group, context, LOOK_AGAIN_S if ahead else None, returns)

    return grouped_batch(
        records,
        key=group_of,
        run=run,
        dead_letter=lambda record, why: dead_letters().send(record, why),
        remaining_ms=context.get_remaining_time_in_millis,
    )


def sweep(assembly: Assembly, context: LambdaContext) -> dict[str, object]:
    """Look at every group; what is wrong with one doesn't keep the others from being looked at."""
    failed = run_each(assembly.groups, lambda group: _look_at(assembly, group, context))
    return {"groups": len(assembly.groups), "failed": failed}


def _look_at(
    assembly: Assembly,
    group: str,
    context: LambdaContext,
    wake_at_least_s: int | None = None,
    returns: Mapping[str, str] | None = None,
) -> None:
    reconcile(
        assembly.groups[group],
        assembly.ports,
        run=f"{context.aws_request_id}/{group}",
        may_go_on=lambda: context.get_remaining_time_in_millis() > ROUND_MS,
        wake_at_least_s=wake_at_least_s,
        returns=returns,
    )
