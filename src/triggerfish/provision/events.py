"""What Auto Scaling and this trigger itself put into the queue, as one small class. Pure.

The type of an event decides nothing: it says which group to look at. Two kinds carry news that no
later look would show, and are told to people: a launch and a termination that failed.

Shapes: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-sns-notifications.html
and recorded messages of 2012 to 2024 in `tests/events/autoscaling`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from triggerfish.errors import InputError
from triggerfish.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["launch", "terminate", "launch-error", "terminate-error", "hook", "test", "wake"]

KINDS: dict[str, Kind] = {
    "autoscaling:EC2_INSTANCE_LAUNCH": "launch",
    "autoscaling:EC2_INSTANCE_TERMINATE": "terminate",
    "autoscaling:EC2_INSTANCE_LAUNCH_ERROR": "launch-error",
    "autoscaling:EC2_INSTANCE_TERMINATE_ERROR": "terminate-error",
    "autoscaling:TEST_NOTIFICATION": "test",
}

BRIDGED_KINDS: dict[str, Kind] = {
    "EC2 Instance Launch Successful": "launch",
    "EC2 Instance Launch Unsuccessful": "launch-error",
    "EC2 Instance Terminate Successful": "terminate",
    "EC2 Instance Terminate Unsuccessful": "terminate-error",
    "EC2 Instance-launch Lifecycle Action": "hook",
    "EC2 Instance-terminate Lifecycle Action": "hook",
}

WAKE = "triggerfish:wake"
SHOWN_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEvent:
    """Why to look at a group. `instance` is empty where there is none (a failed launch)."""

    group: str
    kind: Kind
    instance: str = ""
    text: str = ""
    description: str = ""
    activity: str = ""


def standby_return(event: GroupEvent) -> bool:
    """Whether a launch says that a known instance came back from standby: a hint, no more.

    AWS writes "Moving EC2 instance out of Standby: i-X"; case is not relied on.
    """
    return event.kind == "launch" and "out of standby" in event.description.casefold()


def wake_message(group: str) -> str:
    return json.dumps({"event": WAKE, "group": group})


def parse_message(message: str) -> GroupEvent:
    """Read what a queue message says. Raises InputError with the reason."""
    try:
        content = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the message is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"the message is a JSON {type(content).__name__}, wanted an object")
    if content.get("event") == WAKE:
        return GroupEvent(group=_text(content, "group"), kind="wake")
    if "detail-type" in content:
        return _bridged(content)
    kind = KINDS.get(str(content.get("Event")))
    if kind is None and "LifecycleTransition" in content:
        kind = "hook"
    if kind is None:
        raise InputError(f"no event of Auto Scaling: Event is {content.get('Event')!r:.80}")
    return _group_event(content, kind)


def _bridged(content: Mapping[str, object]) -> GroupEvent:
    kind = BRIDGED_KINDS.get(str(content["detail-type"]))
    detail = content.get("detail")
    if kind is None or not isinstance(detail, dict):
        raise InputError(f"no event of Auto Scaling: detail-type {content['detail-type']!r:.80}")
    return _group_event(detail, kind)


def _group_event(content: Mapping[str, object], kind: Kind) -> GroupEvent:
    return GroupEvent(
        group=_text(content, "AutoScalingGroupName"),
        kind=kind,
        instance=_optional(content, "EC2InstanceId"),
        text=_optional(content, "StatusMessage") or _optional(content, "Description"),
        description=_optional(content, "Description"),
        activity=_optional(content, "ActivityId") or _optional(content, "RequestId"),
    )


def _text(content: Mapping[str, object], key: str) -> str:
    value = content.get(key)
    if not isinstance(value, str) or not value:
        raise InputError(f"the message has no {key}")
    return value


def _optional(content: Mapping[str, object], key: str) -> str:
    value = content.get(key)
    return value[:SHOWN_CHARACTERS] if isinstance(value, str) else ""


def notice_of(event: GroupEvent) -> Notice | None:
    """What people are told of an event; None for those that the group itself will show."""
    if event.kind not in {"launch-error", "terminate-error"}:
        return None
    what = "launch" if event.kind == "launch-error" else "terminate"
    return Notice(
        key=f"provision/{event.group}/{event.kind}",
        severity="warning",
        title=f"{event.group} could not {what} an instance",
        facts=(
            ("Group", event.group),
            ("Instance", event.instance or "none"),
            ("Reason", event.text),
            ("Activity", event.activity),
        ),
    )
