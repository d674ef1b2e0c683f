"""EventBridge events and schedules, as rules, Scheduler and `schedule_input` deliver them. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec import Struct

from triggerfish.errors import InputError
from triggerfish.runtime.wire import converted, decoded, time_from_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class EventBridgeEvent(Struct, frozen=True, kw_only=True):
    id: str
    source: str
    detail_type: str
    resources: tuple[str, ...]
    detail: Mapping[str, object]
    time: datetime | None
    region: str
    account: str


class ScheduledEvent(Struct, frozen=True, kw_only=True):
    """A schedule came due: an EventBridge rule, or Scheduler with its own input or ours."""

    name: str
    at: datetime | None
    """The scheduled time, not the present; None where the source does not say."""
    id: str | None


class _Bridged(Struct, rename={"detail_type": "detail-type"}):
    source: str
    detail_type: str
    id: str = ""
    detail: dict[str, object] | str | None = None
    resources: list[str] = []
    time: str | None = None
    region: str = ""
    account: str = ""


def event_bridge_event(event: object) -> EventBridgeEvent:
    """Parse an EventBridge event, also one that reached us in a queue. Raises InputError."""
    wire = converted(event, _Bridged, "EventBridge event")
    detail: object = wire.detail or {}
    if isinstance(detail, str):  # Scheduler's default input says "detail": "{}"
        detail = decoded(detail, "EventBridge event: detail")
    if not isinstance(detail, dict):
        raise InputError("EventBridge event: detail is not an object")
    return EventBridgeEvent(
        id=wire.id,
        source=wire.source,
        detail_type=wire.detail_type,
        resources=tuple(wire.resources),
        detail=detail,
        time=time_from_text(wire.time),
        region=wire.region,
        account=wire.account,
    )


def scheduled_or_bridged(event: EventBridgeEvent) -> EventBridgeEvent | ScheduledEvent:
    if event.detail_type != "Scheduled Event" or event.source not in {
        "aws.events",
        "aws.scheduler",
    }:
        return event
    arn = event.resources[0] if event.resources else ""
    return ScheduledEvent(name=arn.rpartition("/")[2], at=event.time, id=event.id or None)


class _Schedule(Struct):
    schedule: str
    time: str | None = None
    id: str | None = None


def schedule_input(name: str) -> str:
    """Write the constant input of a Scheduler schedule: which one it is and when it was due.

    Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    return json.dumps(
        {
            "schedule": name,
            "time": "<aws.scheduler.scheduled-time>",
            "id": "<aws.scheduler.execution-id>",
        }
    )


def scheduled_by_us(event: Mapping[str, object]) -> ScheduledEvent:
    wire = converted(event, _Schedule, "schedule")
    placeholder = wire.id is None or wire.id.startswith("<")  # MiniStack does not fill them in
    return ScheduledEvent(
        name=wire.schedule,
        at=time_from_text(wire.time),
        id=None if placeholder else wire.id,
    )
