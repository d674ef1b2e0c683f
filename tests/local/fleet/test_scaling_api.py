from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.local.fleet.harness import EVERYTHING, TOPIC, ApiError

if TYPE_CHECKING:
    from tests.local.fleet.harness import Local

HOOK = {
    "AutoScalingGroupName": "shop",
    "LifecycleHookName": "provision",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
}


def test_putting_a_notification_publishes_a_test_message(local: Local) -> None:
    local.make_group()
    local.call(
        "autoscaling",
        "PutNotificationConfiguration",
        AutoScalingGroupName="shop",
        TopicARN=TOPIC,
        NotificationTypes=["autoscaling:EC2_INSTANCE_LAUNCH"],
    )
    (message,) = local.sent
    request = json.loads(message.body)["RequestId"]
    assert message.subject == 'Auto Scaling: test notification for group "shop"'
    assert message.body == (
        '{"AutoScalingGroupName":"shop","Service":"AWS Auto Scaling",'
        '"Time":"2026-01-02T03:04:05.678Z","AccountId":"123456789012",'
        f'"Event":"autoscaling:TEST_NOTIFICATION","RequestId":"{request}",'
        f'"AutoScalingGroupARN":"{local.group().arn}"}}'
    )


def test_notifications_are_listed_one_a_type_until_they_are_deleted(local: Local) -> None:
    local.make_group()
    listed = local.call(
        "autoscaling", "DescribeNotificationConfigurations", AutoScalingGroupNames=["shop"]
    )["NotificationConfigurations"]
    assert listed == [
        {"AutoScalingGroupName": "shop", "TopicARN": TOPIC, "NotificationType": one}
        for one in EVERYTHING
    ]
    local.call(
        "autoscaling",
        "DeleteNotificationConfiguration",
        AutoScalingGroupName="shop",
        TopicARN=TOPIC,
    )
    answer = local.call("autoscaling", "DescribeNotificationConfigurations")
    assert answer["NotificationConfigurations"] == []


def test_a_type_that_was_not_asked_for_is_not_sent(local: Local) -> None:
    local.make_group()
    local.call(
        "autoscaling",
        "PutNotificationConfiguration",
        AutoScalingGroupName="shop",
        TopicARN=TOPIC,
        NotificationTypes=["autoscaling:EC2_INSTANCE_TERMINATE"],
    )
    local.take()
    local.set_desired(1)
    local.pass_s(1)
    local.set_desired(0)
    local.pass_s(2)
    assert [body["Event"] for body in local.take()] == ["autoscaling:EC2_INSTANCE_TERMINATE"]


def test_an_unknown_type_and_an_eleventh_topic_are_refused(local: Local) -> None:
    local.make_group()
    with pytest.raises(ApiError, match="is not a valid Notification Type"):
        local.call(
            "autoscaling",
            "PutNotificationConfiguration",
            AutoScalingGroupName="shop",
            TopicARN=TOPIC,
            NotificationTypes=["autoscaling:NOTHING"],
        )
    put = {"AutoScalingGroupName": "shop", "NotificationTypes": EVERYTHING}
    for number in range(9):
        local.call(
            "autoscaling", "PutNotificationConfiguration", TopicARN=f"{TOPIC}-{number}", **put
        )
    with pytest.raises(ApiError) as refused:
        local.call("autoscaling", "PutNotificationConfiguration", TopicARN=f"{TOPIC}-9", **put)
    assert refused.value.code == "LimitExceeded"


def test_the_types_are_listed(local: Local) -> None:
    types = local.call("autoscaling", "DescribeAutoScalingNotificationTypes")
    assert types["AutoScalingNotificationTypes"] == [
        "autoscaling:EC2_INSTANCE_LAUNCH",
        "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
        "autoscaling:EC2_INSTANCE_TERMINATE",
        "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
        "autoscaling:TEST_NOTIFICATION",
    ]
    types = local.call("autoscaling", "DescribeLifecycleHookTypes")
    assert types["LifecycleHookTypes"] == [
        "autoscaling:EC2_INSTANCE_LAUNCHING",
        "autoscaling:EC2_INSTANCE_TERMINATING",
    ]


def test_a_hook_has_the_defaults_of_aws_and_keeps_what_a_change_leaves_out(local: Local) -> None:
    local.make_group()
    local.call("autoscaling", "PutLifecycleHook", **HOOK)
    described = {
        "AutoScalingGroupName": "shop",
        "LifecycleHookName": "provision",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "HeartbeatTimeout": 3600,
        "GlobalTimeout": 172800,
        "DefaultResult": "ABANDON",
    }
    hooks = local.call("autoscaling", "DescribeLifecycleHooks", AutoScalingGroupName="shop")
    assert hooks["LifecycleHooks"] == [described]
    local.call(
        "autoscaling",
        "PutLifecycleHook",
        AutoScalingGroupName="shop",
        LifecycleHookName="provision",
        HeartbeatTimeout=60,
        NotificationTargetARN=TOPIC,
        RoleARN="arn:aws:iam::123456789012:role/hook",
        NotificationMetadata="blue",
    )
    hooks = local.call("autoscaling", "DescribeLifecycleHooks", AutoScalingGroupName="shop")
    changed = {
        **described,
        "HeartbeatTimeout": 60,
        "GlobalTimeout": 6000,
        "NotificationTargetARN": TOPIC,
        "RoleARN": "arn:aws:iam::123456789012:role/hook",
        "NotificationMetadata": "blue",
    }
    assert hooks["LifecycleHooks"] == [changed]
    local.call("autoscaling", "PutLifecycleHook", **HOOK, NotificationTargetARN="")
    hooks = local.call("autoscaling", "DescribeLifecycleHooks", AutoScalingGroupName="shop")
    assert "NotificationTargetARN" not in hooks["LifecycleHooks"][0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"LifecycleTransition": "autoscaling:NOTHING"}, "Invalid Lifecycle Transition"),
        ({"DefaultResult": "MAYBE"}, "Invalid default result"),
        (
            {"NotificationTargetARN": "arn:aws:sqs:eu-west-1:123456789012:hooks"},
            "Unable to publish test message to notification target",
        ),
    ],
    ids=["transition", "result", "target"],
)
def test_a_wrong_hook_is_refused(local: Local, change: dict[str, str], text: str) -> None:
    local.make_group()
    with pytest.raises(ApiError, match=text) as refused:
        local.call("autoscaling", "PutLifecycleHook", **{**HOOK, **change})
    assert refused.value.code == "ValidationError"


def test_a_group_has_at_most_fifty_hooks(local: Local) -> None:
    local.make_group()
    for number in range(50):
        local.call("autoscaling", "PutLifecycleHook", **{**HOOK, "LifecycleHookName": f"h{number}"})
    with pytest.raises(ApiError) as refused:
        local.call("autoscaling", "PutLifecycleHook", **HOOK)
    assert refused.value.code == "LimitExceeded"


def test_deleting_a_hook_that_is_not_there_is_no_error(local: Local) -> None:
    local.make_group()
    local.call(
        "autoscaling", "DeleteLifecycleHook", AutoScalingGroupName="shop", LifecycleHookName="none"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"LifecycleActionResult": "MAYBE", "InstanceId": "i-0123456789abcdef0"},
        {"LifecycleActionResult": "CONTINUE"},
    ],
    ids=["result", "nothing named"],
)
def test_a_wrong_completion_is_refused(local: Local, change: dict[str, str]) -> None:
    local.make_group()
    with pytest.raises(ApiError) as refused:
        local.call(
            "autoscaling",
            "CompleteLifecycleAction",
            AutoScalingGroupName="shop",
            LifecycleHookName="provision",
            **change,
        )
    assert refused.value.code == "ValidationError"


def test_an_unknown_group_is_refused(local: Local) -> None:
    with pytest.raises(ApiError) as refused:
        local.set_desired(1)
    assert refused.value.code == "ValidationError"
    assert (
        refused.value.message == "AutoScalingGroup name not found - AutoScalingGroup shop not found"
    )


def test_a_second_group_of_that_name_is_refused(local: Local) -> None:
    local.make_group()
    group = local.call("autoscaling", "DescribeAutoScalingGroups")["AutoScalingGroups"][0]
    with pytest.raises(ApiError) as refused:
        local.call(
            "autoscaling",
            "CreateAutoScalingGroup",
            AutoScalingGroupName="shop",
            MinSize=0,
            MaxSize=1,
            VPCZoneIdentifier=group["VPCZoneIdentifier"],
            LaunchTemplate={"LaunchTemplateId": group["LaunchTemplate"]["LaunchTemplateId"]},
        )
    assert refused.value.code == "AlreadyExists"
    assert refused.value.message == (
        "AutoScalingGroup by this name already exists - A group with the name shop already exists"
    )


@pytest.mark.parametrize(
    ("desired", "text"),
    [
        (
            4,
            "New SetDesiredCapacity value 4 is above max value 3 for the AutoScalingGroup.",
        ),
        (
            0,
            "New SetDesiredCapacity value 0 is below min value 1 for the AutoScalingGroup.",
        ),
    ],
)
def test_the_bounds_of_the_group_hold(local: Local, desired: int, text: str) -> None:
    local.make_group(1, MinSize=1, MaxSize=3)
    with pytest.raises(ApiError) as refused:
        local.set_desired(desired)
    assert refused.value.message == text
    with pytest.raises(ApiError, match="must be between the specified min size:1 and max size:3"):
        local.call(
            "autoscaling",
            "UpdateAutoScalingGroup",
            AutoScalingGroupName="shop",
            DesiredCapacity=desired,
        )


def test_an_update_changes_only_what_it_names(local: Local) -> None:
    local.make_group(2, TerminationPolicies=["OldestInstance"], HealthCheckGracePeriod=90)
    local.call(
        "autoscaling",
        "UpdateAutoScalingGroup",
        AutoScalingGroupName="shop",
        TerminationPolicies=["NewestInstance"],
        DefaultCooldown=10,
    )
    group = local.call("autoscaling", "DescribeAutoScalingGroups")["AutoScalingGroups"][0]
    assert group["TerminationPolicies"] == ["NewestInstance"]
    assert (group["DefaultCooldown"], group["DesiredCapacity"]) == (10, 2)
    assert (group["HealthCheckGracePeriod"], group["HealthCheckType"]) == (90, "EC2")
    local.call("autoscaling", "UpdateAutoScalingGroup", AutoScalingGroupName="shop", MaxSize=9)
    group = local.call("autoscaling", "DescribeAutoScalingGroups")["AutoScalingGroups"][0]
    assert group["TerminationPolicies"] == ["NewestInstance"]


def test_the_grace_period_is_zero_unless_it_is_set(local: Local) -> None:
    local.make_group()
    group = local.call("autoscaling", "DescribeAutoScalingGroups")["AutoScalingGroups"][0]
    assert group["HealthCheckGracePeriod"] == 0


def test_members_are_listed_fifty_a_page_and_unknown_ids_left_out(local: Local) -> None:
    instances = local.make_serving(120)
    seen: list[str] = []
    more: dict[str, str] = {}
    sizes = []
    while True:
        page = local.call("autoscaling", "DescribeAutoScalingInstances", **more)
        sizes.append(len(page["AutoScalingInstances"]))
        seen += [one["InstanceId"] for one in page["AutoScalingInstances"]]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert sizes == [50, 50, 20]
    assert seen == instances
    (found,) = local.call(
        "autoscaling",
        "DescribeAutoScalingInstances",
        InstanceIds=[instances[7], "i-0123456789abcdef0"],
    )["AutoScalingInstances"]
    assert found["InstanceId"] == instances[7]
    assert found["LifecycleState"] == "InService"
    assert found["HealthStatus"] == "Healthy"
    assert found["AutoScalingGroupName"] == "shop"


def test_activities_are_listed_newest_first_with_details_as_text(local: Local) -> None:
    (instance,) = local.make_serving(1)
    local.control("faults", {"launch_error": {"group": "shop", "reason": "No."}})
    local.set_desired(2)
    local.pass_s(0.1)
    failed, launched = local.call(
        "autoscaling", "DescribeScalingActivities", AutoScalingGroupName="shop"
    )["Activities"]
    assert (failed["StatusCode"], failed["StatusMessage"]) == ("Failed", "No.")
    assert launched["Description"] == f"Launching a new EC2 instance: {instance}"
    assert (launched["StatusCode"], launched["Progress"]) == ("Successful", 100)
    subnet = local.fleet.ec2.servers[instance].subnet_id
    assert launched["Details"] == (
        f'{{"Subnet ID": "{subnet}", "Availability Zone": "eu-west-1a"}}'
    )
    only = local.call(
        "autoscaling", "DescribeScalingActivities", ActivityIds=[failed["ActivityId"]]
    )["Activities"]
    assert [one["ActivityId"] for one in only] == [failed["ActivityId"]]


def test_health_is_healthy_or_unhealthy(local: Local) -> None:
    (instance,) = local.make_serving(1)
    local.call("autoscaling", "SetInstanceHealth", InstanceId=instance, HealthStatus="Healthy")
    with pytest.raises(ApiError, match="Valid instance health states"):
        local.call("autoscaling", "SetInstanceHealth", InstanceId=instance, HealthStatus="Ill")


def test_target_groups_can_be_attached_later(local: Local) -> None:
    (instance,) = local.make_serving(1, TargetGroupARNs=[])
    assert local.health(instance) == ("unused", "Target.NotRegistered")
    local.call(
        "autoscaling",
        "AttachLoadBalancerTargetGroups",
        AutoScalingGroupName="shop",
        TargetGroupARNs=[local.target_group],
    )
    assert local.health(instance)[0] == "initial"


def test_nothing_is_registered_while_that_is_suspended(local: Local) -> None:
    local.make_group()
    local.call(
        "autoscaling",
        "SuspendProcesses",
        AutoScalingGroupName="shop",
        ScalingProcesses=["AddToLoadBalancer"],
    )
    local.set_desired(1)
    local.pass_s(1)
    assert local.health(local.in_service()[0]) == ("unused", "Target.NotRegistered")
