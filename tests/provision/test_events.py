from __future__ import annotations

import json
from typing import Any

import pytest

from tests.events import event, text
from triggerfish.errors import InputError
from triggerfish.notice import Notice
from triggerfish.provision.events import (
    GroupEvent,
    notice_of,
    parse_message,
    standby_return,
    wake_message,
)

INSTANCE = event("autoscaling/launch")["EC2InstanceId"]
GROUP = event("autoscaling/launch")["AutoScalingGroupName"]


def changed(name: str = "autoscaling/launch", **changes: Any) -> GroupEvent:
    return parse_message(json.dumps({**event(name), **changes}))


@pytest.mark.parametrize(
    ("name", "kind", "has_instance"),
    [
        ("autoscaling/launch", "launch", True),
        ("autoscaling/launch_2016", "launch", True),
        ("autoscaling/launch_replacing_unhealthy", "launch", True),
        ("autoscaling/launch_into_warm_pool", "launch", True),
        ("autoscaling/launch_from_warm_pool", "launch", True),
        ("autoscaling/attach", "launch", True),
        ("autoscaling/exit_standby", "launch", True),
        ("autoscaling/launch_error", "launch-error", False),
        ("autoscaling/launch_error_abandoned", "launch-error", True),
        ("autoscaling/terminate", "terminate", True),
        ("autoscaling/terminate_with_hook", "terminate", True),
        ("autoscaling/terminate_health_check", "terminate", True),
        ("autoscaling/terminate_error", "terminate-error", True),
        ("autoscaling/test_notification", "test", False),
        ("autoscaling/hook_test_notification", "test", False),
        ("autoscaling/hook_launching", "hook", True),
        ("autoscaling/hook_terminating", "hook", True),
        ("autoscaling/hook_returning_to_warm_pool", "hook", True),
        ("eventbridge/launch_successful", "launch", True),
        ("eventbridge/lifecycle_action", "hook", True),
    ],
)
def test_every_message_of_auto_scaling_says_which_group_to_look_at(
    name: str, kind: str, *, has_instance: bool
) -> None:
    found = parse_message(text(name))
    content = event(name)
    assert found.kind == kind
    assert found.group == content.get("detail", content)["AutoScalingGroupName"]
    assert bool(found.instance) is has_instance


def test_a_message_is_read_whole() -> None:
    content = event("autoscaling/launch")
    assert parse_message(text("autoscaling/launch")) == GroupEvent(
        group=content["AutoScalingGroupName"],
        kind="launch",
        instance=content["EC2InstanceId"],
        text=content["Description"],
        description=content["Description"],
        activity=content["ActivityId"],
    )


def test_an_activity_is_known_by_its_own_id_and_not_by_the_request() -> None:
    """A recorded message of 2016 has two different ones."""
    content = event("autoscaling/launch_2016")
    assert content["ActivityId"] != content["RequestId"]
    assert parse_message(text("autoscaling/launch_2016")).activity == content["ActivityId"]


def test_unknown_keys_and_odd_values_of_what_is_not_needed_are_passed_over() -> None:
    found = changed(EC2InstanceId=None, Description=7, ActivityId=[], RequestId={}, New={"a": 1})
    assert found == GroupEvent(group=GROUP, kind="launch")


def test_a_long_text_is_cut() -> None:
    assert len(changed(StatusMessage="x" * 10_000).text) == 500


def test_our_own_wake_up_is_read_back() -> None:
    assert parse_message(wake_message("web")) == GroupEvent(group="web", kind="wake")
    odd = 'a "group" - with\neverything'
    assert parse_message(wake_message(odd)).group == odd


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "the message is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("{", "the message is not JSON: Expecting property name enclosed in double quotes"),
        ("[" * 100_000, "the message is not JSON: maximum recursion depth exceeded"),
        ("7", "the message is a JSON int, wanted an object"),
        ("null", "the message is a JSON NoneType, wanted an object"),
        ('["autoscaling"]', "the message is a JSON list, wanted an object"),
        ("{}", "no event of Auto Scaling: Event is None"),
        ('{"Event": "aws:s3"}', "no event of Auto Scaling: Event is 'aws:s3'"),
        ('{"Event": ["x"]}', "no event of Auto Scaling: Event is ['x']"),
        (
            '{"Event": "autoscaling:EC2_INSTANCE_LAUNCH"}',
            "the message has no AutoScalingGroupName",
        ),
        (
            '{"Event": "autoscaling:EC2_INSTANCE_LAUNCH", "AutoScalingGroupName": ""}',
            "the message has no AutoScalingGroupName",
        ),
        (
            '{"Event": "autoscaling:EC2_INSTANCE_LAUNCH", "AutoScalingGroupName": 7}',
            "the message has no AutoScalingGroupName",
        ),
        ('{"event": "triggerfish:wake"}', "the message has no group"),
        (
            '{"detail-type": "EC2 Instance State-change Notification", "detail": {}}',
            "no event of Auto Scaling: detail-type 'EC2 Instance State-change Notification'",
        ),
        (
            '{"detail-type": "EC2 Instance Launch Successful"}',
            "no event of Auto Scaling: detail-type 'EC2 Instance Launch Successful'",
        ),
        (
            '{"detail-type": "EC2 Instance Launch Successful", "detail": {}}',
            "the message has no AutoScalingGroupName",
        ),
    ],
)
def test_a_malformed_message_is_refused_with_its_reason(message: str, reason: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_message(message)
    assert refused.value.message.startswith(reason)


def test_a_reason_does_not_repeat_a_long_message() -> None:
    with pytest.raises(InputError) as refused:
        parse_message(json.dumps({"Event": "x" * 10_000}))
    assert len(refused.value.message) < 150


# --- standby -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "returns"),
    [
        ("Moving EC2 instance out of Standby: i-1", True),
        ("Moving EC2 instance out of StandBy: i-1", True),
        ("Moving EC2 instance to Standby: i-1", False),
        ("Launching a new EC2 instance: i-1", False),
        ("Attaching an existing EC2 instance: i-1", False),
    ],
)
def test_a_return_from_standby_is_told_by_its_description(
    description: str, *, returns: bool
) -> None:
    assert standby_return(changed(Description=description)) is returns


def test_only_a_launch_returns_from_standby() -> None:
    description = "Moving EC2 instance out of Standby: i-1"
    assert standby_return(parse_message(text("autoscaling/exit_standby")))
    assert not standby_return(changed("autoscaling/terminate", Description=description))


# --- notices -----------------------------------------------------------------------------------


def test_a_launch_that_failed_is_told_to_people_although_no_instance_is_named() -> None:
    content = event("autoscaling/launch_error")
    assert content["EC2InstanceId"] == ""
    notice = notice_of(parse_message(text("autoscaling/launch_error")))
    group = content["AutoScalingGroupName"]
    assert notice == Notice(
        key=f"provision/{group}/launch-error",
        severity="warning",
        title=f"{group} could not launch an instance",
        facts=(
            ("Group", group),
            ("Instance", "none"),
            ("Reason", content["StatusMessage"]),
            ("Activity", content["ActivityId"]),
        ),
    )


def test_a_termination_that_failed_is_told_to_people() -> None:
    notice = notice_of(parse_message(text("autoscaling/terminate_error")))
    assert notice is not None
    assert notice.title.endswith(" could not terminate an instance")
    assert dict(notice.facts)["Instance"] == event("autoscaling/terminate_error")["EC2InstanceId"]


@pytest.mark.parametrize(
    "name",
    [
        "autoscaling/launch",
        "autoscaling/terminate",
        "autoscaling/test_notification",
        "autoscaling/hook_launching",
        "autoscaling/exit_standby",
    ],
)
def test_what_the_group_itself_will_show_is_told_to_nobody(name: str) -> None:
    assert notice_of(parse_message(text(name))) is None
