"""EventBridge Scheduler: on time, with its context filled in, and nothing invalid taken.

MiniStack looks at schedules every ten seconds, leaves `<aws.scheduler.*>` as it is, takes
expressions that mean nothing, loses a template's time zone, dates and action after completion, and
runs cron in UTC whatever the time zone says: such a schedule is refused here.
"""

# ruff: noqa: SLF001  what MiniStack calls private is what is mended here

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from . import guard

if TYPE_CHECKING:
    from collections.abc import Callable

Settings = dict[str, Any]

TICK_S = 1

TEMPLATE_PROPERTIES = (
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "FlexibleTimeWindow",
    "Target",
    "GroupName",
    "State",
    "Description",
    "StartDate",
    "EndDate",
    "KmsKeyArn",
    "ActionAfterCompletion",
)


def mend(changed: Callable[[str], None]) -> None:
    from ministack.services import eventbridge, scheduler  # noqa: PLC0415
    from ministack.services.cloudformation import provisioners  # noqa: PLC0415

    guard.attribute(scheduler, "_SCHEDULE_TICK_INTERVAL", "a schedule fires within the second")
    scheduler._SCHEDULE_TICK_INTERVAL = TICK_S
    _mend_expressions(scheduler, eventbridge)
    _mend_target(eventbridge, changed)
    _mend_template(scheduler, provisioners)


def _mend_expressions(scheduler: Any, eventbridge: Any) -> None:
    gap = "an expression that Scheduler can't read is refused"
    for name in ("_parse_rate_seconds", "_parse_cron_fields"):
        guard.attribute(eventbridge, name, gap)
    at_time = guard.attribute(scheduler, "_at_time_epoch", gap)

    def checked(original: Callable[[str, Settings], Any]) -> Callable[[str, Settings], Any]:
        def take(name: str, body: Settings) -> Any:
            expression = body.get("ScheduleExpression")
            if expression and not readable(expression):
                told = f"Invalid Schedule Expression {expression}."
                return scheduler._error(400, "ValidationException", told)
            zone = body.get("ScheduleExpressionTimezone") or "UTC"
            if expression and expression.startswith("cron(") and zone != "UTC":
                told = f"the local cloud runs cron in UTC only, found {zone}"
                return scheduler._error(400, "ValidationException", told)
            return original(name, body)

        return take

    def readable(expression: str) -> bool:
        if expression.startswith("at("):
            return at_time(expression) is not None
        if expression.startswith("rate("):
            return eventbridge._parse_rate_seconds(expression) is not None
        return eventbridge._parse_cron_fields(expression) is not None

    for name in ("_create_schedule", "_update_schedule"):
        original = guard.replace(scheduler, name, ("name", "body"), lambda *_: None, gap=gap)
        setattr(scheduler, name, checked(original))


def _mend_target(eventbridge: Any, changed: Callable[[str], None]) -> None:
    gap = "the context attributes in a schedule's input are filled in"
    invoke = guard.replace(
        eventbridge,
        "_invoke_target",
        ("target", "event", "rule", "view"),
        lambda *_: None,
        gap=gap,
    )

    def invoke_target(target: Settings, event: Settings, rule: Settings, view: Any = None) -> Any:
        if event.get("Source") == "aws.scheduler":
            changed("scheduler")
            if target.get("Input"):
                target = {**target, "Input": filled(target["Input"], event, rule)}
        return invoke(target, event, rule, view)

    eventbridge._invoke_target = invoke_target


def filled(text: str, event: Settings, schedule: Settings) -> str:
    """https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html"""
    at = datetime.fromtimestamp(event["Time"], tz=UTC).replace(microsecond=0)
    values = {
        "<aws.scheduler.schedule-arn>": schedule.get("Arn", ""),
        "<aws.scheduler.scheduled-time>": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "<aws.scheduler.execution-id>": event["EventId"],
        "<aws.scheduler.attempt-number>": "1",
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def _mend_template(scheduler: Any, provisioners: Any) -> None:
    gap = "a schedule made by a template is as the template says, or fails the stack"
    handlers = guard.attribute(provisioners, "_RESOURCE_HANDLERS", gap)["AWS::Scheduler::Schedule"]
    for name in ("_scheduler_schedule_create", "_scheduler_schedule_update", "_physical_name"):
        guard.attribute(provisioners, name, gap)

    def settle(answer: tuple[int, Any, bytes], name: str, group: str) -> tuple[str, Settings]:
        status, _headers, body = answer
        if status >= 400:
            told = json.loads(body)
            raise ValueError(
                f"{told.get('Message') or told.get('message')} (Service: Scheduler, Status Code: "
                f"{status})"
            )
        return name, {"Arn": scheduler._schedule_arn(group, name)}

    def create(logical_id: str, props: Settings, stack_name: str) -> tuple[str, Settings]:
        name = props.get("Name") or provisioners._physical_name(stack_name, logical_id, max_len=64)
        body = _body(props)
        return settle(scheduler._create_schedule(name, body), name, body["GroupName"])

    def update(
        physical_id: str, old: Settings, new: Settings, stack_name: str
    ) -> tuple[str, Settings]:
        if (new.get("Name") or physical_id, new.get("GroupName")) != (
            physical_id,
            old.get("GroupName"),
        ):
            return create(physical_id, new, stack_name)
        body = _body(new)
        return settle(scheduler._update_schedule(physical_id, body), physical_id, body["GroupName"])

    handlers.update(create=create, update=update)


def _body(props: Settings) -> Settings:
    body = {name: props[name] for name in TEMPLATE_PROPERTIES if name in props}
    zone = ZoneInfo(body.get("ScheduleExpressionTimezone", "UTC"))
    for name in ("StartDate", "EndDate"):
        if isinstance(body.get(name), str):
            at = datetime.fromisoformat(body[name])
            body[name] = (at if at.tzinfo else at.replace(tzinfo=zone)).timestamp()
    return {"GroupName": "default", "State": "ENABLED", **body}
