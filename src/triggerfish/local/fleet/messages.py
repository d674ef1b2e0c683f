"""The bodies and subjects Auto Scaling publishes to SNS: keys, their order and their values.

Source: a launch and a termination recorded in December 2024, lifecycle messages of 2021 and 2024,
failed launches of 2015 and 2018, test notifications since 2014.

Traps kept on purpose: a *successful* launch says StatusCode "InProgress" and Progress 50; `Details`
is an object here though the API gives a JSON string; a failed launch has an empty EC2InstanceId.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from triggerfish.local.fleet import texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

LAUNCH: Final = "autoscaling:EC2_INSTANCE_LAUNCH"
LAUNCH_ERROR: Final = "autoscaling:EC2_INSTANCE_LAUNCH_ERROR"
TERMINATE: Final = "autoscaling:EC2_INSTANCE_TERMINATE"
TERMINATE_ERROR: Final = "autoscaling:EC2_INSTANCE_TERMINATE_ERROR"
TEST: Final = "autoscaling:TEST_NOTIFICATION"
NOTIFICATION_TYPES = (LAUNCH, LAUNCH_ERROR, TERMINATE, TERMINATE_ERROR, TEST)

LAUNCHING: Final = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING: Final = "autoscaling:EC2_INSTANCE_TERMINATING"

Event = Literal[
    "autoscaling:EC2_INSTANCE_LAUNCH",
    "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
    "autoscaling:EC2_INSTANCE_TERMINATE",
    "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
]

SERVICE = "AWS Auto Scaling"
_WORDS = {
    LAUNCH: "launch",
    LAUNCH_ERROR: "failed launch",
    TERMINATE: "termination",
    TERMINATE_ERROR: "failed termination",
    TEST: "test notification",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupIdentity:
    name: str
    arn: str
    account: str


@dataclass(slots=True, kw_only=True)
class Activity:
    """One scaling activity, as it stands now."""

    id: str
    instance: str
    description: str
    cause: str
    started_at: datetime
    details: Mapping[str, str]
    status: str = "InProgress"
    status_message: str = ""
    progress: int = 50
    ended_at: datetime | None = None
    outcome: str = field(default="Successful", kw_only=True)
    """What DescribeScalingActivities says once it has ended; the message keeps `status`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    topic_arn: str
    subject: str
    body: str


def subject(event: str, group: str) -> str:
    return f'Auto Scaling: {_WORDS[event]} for group "{group}"'


def lifecycle_subject(transition: str, instance: str) -> str:
    word = "LAUNCHING" if transition == LAUNCHING else "TERMINATING"
    return f"Auto Scaling: Lifecycle action '{word}' for instance {instance} in progress."


def activity_body(group: GroupIdentity, activity: Activity, event: Event, at: datetime) -> str:
    outward = event in {TERMINATE, TERMINATE_ERROR}
    ended = texts.millisecond(activity.ended_at or at)
    return _json(
        {
            "Origin": "AutoScalingGroup" if outward else "EC2",
            "Destination": "EC2" if outward else "AutoScalingGroup",
            "Progress": activity.progress,
            "AccountId": group.account,
            "Description": activity.description,
            "RequestId": activity.id,
            "EndTime": ended,
            "AutoScalingGroupARN": group.arn,
            "ActivityId": activity.id,
            "StartTime": texts.millisecond(activity.started_at),
            "Service": SERVICE,
            "Time": ended,
            "EC2InstanceId": activity.instance,
            "StatusCode": activity.status,
            "StatusMessage": activity.status_message,
            "Details": dict(activity.details),
            "AutoScalingGroupName": group.name,
            "Cause": activity.cause,
            "Event": event,
        }
    )


def test_body(group: GroupIdentity, request_id: str, at: datetime) -> str:
    return _json(
        {
            "AutoScalingGroupName": group.name,
            "Service": SERVICE,
            "Time": texts.millisecond(at),
            "AccountId": group.account,
            "Event": TEST,
            "RequestId": request_id,
            "AutoScalingGroupARN": group.arn,
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleNotice:
    hook: str
    transition: str
    instance: str
    token: str
    metadata: str | None
    request_id: str


def lifecycle_body(group: GroupIdentity, notice: LifecycleNotice, at: datetime) -> str:
    """No `Event` key: only the test message has one. Unset metadata is absent."""
    outward = notice.transition == TERMINATING
    body: dict[str, object] = {
        "Origin": "AutoScalingGroup" if outward else "EC2",
        "LifecycleHookName": notice.hook,
        "Destination": "EC2" if outward else "AutoScalingGroup",
        "AccountId": group.account,
        "RequestId": notice.request_id,
        "LifecycleTransition": notice.transition,
        "AutoScalingGroupName": group.name,
        "Service": SERVICE,
        "Time": texts.millisecond(at),
        "EC2InstanceId": notice.instance,
    }
    if notice.metadata is not None:
        body["NotificationMetadata"] = notice.metadata
    body["LifecycleActionToken"] = notice.token
    return _json(body)


def _json(body: Mapping[str, object]) -> str:
    return json.dumps(body, separators=(",", ":"))
