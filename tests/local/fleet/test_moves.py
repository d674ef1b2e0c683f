from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.fleet.harness import ApiError

if TYPE_CHECKING:
    from tests.local.fleet.harness import Local


def move(local: Local, action: str, *instances: str, **more: object) -> list[dict[str, Any]]:
    answer = local.call(
        "autoscaling", action, AutoScalingGroupName="shop", InstanceIds=list(instances), **more
    )
    found: list[dict[str, Any]] = answer.get("Activities", [])
    return found


def start_outside(local: Local) -> str:
    group = local.call("autoscaling", "DescribeAutoScalingGroups")["AutoScalingGroups"][0]
    instance: str = local.call(
        "ec2",
        "RunInstances",
        LaunchTemplate={"LaunchTemplateId": group["LaunchTemplate"]["LaunchTemplateId"]},
        SubnetId=group["VPCZoneIdentifier"].split(",")[0],
        MinCount=1,
        MaxCount=1,
    )["Instances"][0]["InstanceId"]
    return instance


def test_entering_standby_leaves_the_target_group_and_sends_nothing(local: Local) -> None:
    instance, *_ = local.make_serving(2)
    (activity,) = move(local, "EnterStandby", instance, ShouldDecrementDesiredCapacity=True)
    assert activity["Description"] == f"Moving EC2 instance to Standby: {instance}"
    assert activity["Cause"] == (
        f"At 2026-01-02T03:04:06Z instance {instance} was moved to standby in response to a user "
        "request, shrinking the capacity from 2 to 1."
    )
    assert (activity["StatusCode"], activity["Progress"]) == ("InProgress", 50)
    assert local.states() == ["EnteringStandby", "InService"]
    local.pass_s(1)
    assert local.states() == ["InService", "Standby"]
    assert local.health(instance) == ("unused", "Target.NotRegistered")
    assert local.take() == []


def test_entering_standby_without_decrement_brings_a_replacement(local: Local) -> None:
    instance, *_ = local.make_serving(2)
    (activity,) = move(local, "EnterStandby", instance, ShouldDecrementDesiredCapacity=False)
    assert activity["Cause"].endswith("in response to a user request.")
    local.pass_s(1)
    assert local.states() == ["InService", "InService", "Standby"]


def test_leaving_standby_arrives_as_a_launch(local: Local) -> None:
    (instance,) = local.make_serving(1)
    move(local, "EnterStandby", instance, ShouldDecrementDesiredCapacity=True)
    local.pass_s(1)
    (activity,) = move(local, "ExitStandby", instance)
    assert (activity["StatusCode"], activity["Progress"]) == ("PreInService", 30)
    assert local.states() == ["Pending"]
    local.pass_s(1)
    assert local.states() == ["InService"]
    assert local.health(instance)[0] != "unused"
    (body,) = local.take()
    assert body["Event"] == "autoscaling:EC2_INSTANCE_LAUNCH"
    assert body["Description"] == f"Moving EC2 instance out of Standby: {instance}"
    assert body["Cause"] == (
        f"At 2026-01-02T03:04:07Z instance {instance} was moved out of standby in response to a "
        "user request, increasing the capacity from 0 to 1."
    )
    assert (body["StatusCode"], body["Progress"]) == ("InProgress", 50)


def test_no_hook_holds_a_member_that_leaves_standby(local: Local) -> None:
    (instance,) = local.make_serving(1)
    local.call(
        "autoscaling",
        "PutLifecycleHook",
        AutoScalingGroupName="shop",
        LifecycleHookName="provision",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
    )
    move(local, "EnterStandby", instance, ShouldDecrementDesiredCapacity=True)
    local.pass_s(1)
    move(local, "ExitStandby", instance)
    local.pass_s(1)
    assert local.states() == ["InService"]


def test_a_member_killed_in_standby_is_replaced_when_it_comes_back(local: Local) -> None:
    (instance,) = local.make_serving(1)
    move(local, "EnterStandby", instance, ShouldDecrementDesiredCapacity=True)
    local.pass_s(1)
    local.call("ec2", "TerminateInstances", InstanceIds=[instance])
    local.pass_s(5)
    assert local.states() == ["Standby"]
    move(local, "ExitStandby", instance)
    local.pass_s(3)
    assert local.states() == ["InService"]
    assert local.in_service() != [instance]


@pytest.mark.parametrize(
    ("action", "text"),
    [
        ("EnterStandby", "The instance {} is not in InService."),
        ("ExitStandby", "The instance {} is not in Standby."),
    ],
)
def test_a_member_in_another_state_is_refused(local: Local, action: str, text: str) -> None:
    (instance,) = local.make_serving(1)
    if action == "EnterStandby":
        move(local, action, instance, ShouldDecrementDesiredCapacity=True)
    more = {"ShouldDecrementDesiredCapacity": True} if action == "EnterStandby" else {}
    with pytest.raises(ApiError) as refused:
        move(local, action, instance, **more)
    assert refused.value.message == text.format(instance)


def test_an_instance_of_no_group_is_refused(local: Local) -> None:
    local.make_group()
    with pytest.raises(ApiError) as refused:
        move(local, "ExitStandby", "i-0123456789abcdef0")
    assert refused.value.message == (
        "The instance i-0123456789abcdef0 is not part of Auto Scaling group shop."
    )


def test_twenty_instances_a_call(local: Local) -> None:
    instances = local.make_serving(21)
    with pytest.raises(ApiError, match="over 20"):
        move(local, "EnterStandby", *instances, ShouldDecrementDesiredCapacity=True)


def test_the_maximum_holds_for_those_who_return(local: Local) -> None:
    (instance,) = local.make_serving(1, MaxSize=1)
    move(local, "EnterStandby", instance, ShouldDecrementDesiredCapacity=True)
    local.set_desired(1)
    local.pass_s(1)
    with pytest.raises(ApiError, match="above max value 1"):
        move(local, "ExitStandby", instance)


def test_attaching_arrives_as_a_launch_without_a_subnet(local: Local) -> None:
    local.make_group()
    instance = start_outside(local)
    local.pass_s(1)
    move(local, "AttachInstances", instance)
    assert local.states() == ["Pending"]
    local.pass_s(1)
    (body,) = local.take()
    assert body["Event"] == "autoscaling:EC2_INSTANCE_LAUNCH"
    assert body["Description"] == f"Attaching an existing EC2 instance: {instance}"
    assert body["Details"] == {"Availability Zone": "eu-west-1a"}
    assert body["Cause"] == (
        "At 2026-01-02T03:04:06Z an instance was added in response to user request. Keeping the "
        "capacity at the new 1."
    )
    assert local.in_service() == [instance]
    assert local.group().desired == 1
    assert local.fleet.ec2.tags[instance]["aws:autoscaling:groupName"] == "shop"


def test_only_a_running_instance_of_no_group_is_attached(local: Local) -> None:
    (member,) = local.make_serving(1)
    with pytest.raises(ApiError, match="already part of AutoScalingGroup:shop"):
        move(local, "AttachInstances", member)
    with pytest.raises(ApiError, match="is not in correct state"):
        move(local, "AttachInstances", start_outside(local))
    with pytest.raises(ApiError, match=r"Instance \[i-0123456789abcdef0\] is invalid."):
        move(local, "AttachInstances", "i-0123456789abcdef0")


def test_a_detached_instance_lives_on_outside_its_group(local: Local) -> None:
    instance, *_ = local.make_serving(2)
    (activity,) = move(local, "DetachInstances", instance, ShouldDecrementDesiredCapacity=True)
    assert activity["Description"] == f"Detaching EC2 instance: {instance}"
    assert activity["Cause"] == (
        f"At 2026-01-02T03:04:06Z instance {instance} was detached in response to a user request, "
        "shrinking the capacity from 2 to 1."
    )
    assert local.states() == ["Detaching", "InService"]
    local.pass_s(1)
    assert local.states() == ["InService"]
    assert local.fleet.ec2.servers[instance].state == "running"
    assert "aws:autoscaling:groupName" not in local.fleet.ec2.tags[instance]
    assert local.take() == []


def test_a_detached_instance_can_come_back(local: Local) -> None:
    (instance,) = local.make_serving(1)
    move(local, "DetachInstances", instance, ShouldDecrementDesiredCapacity=True)
    local.pass_s(1)
    move(local, "AttachInstances", instance)
    local.pass_s(1)
    assert local.in_service() == [instance]


def test_detaching_from_standby_does_not_shrink_the_group(local: Local) -> None:
    instance, *_ = local.make_serving(2)
    move(local, "EnterStandby", instance, ShouldDecrementDesiredCapacity=True)
    local.pass_s(1)
    move(local, "DetachInstances", instance, ShouldDecrementDesiredCapacity=True)
    local.pass_s(1)
    assert (local.group().desired, local.states()) == (1, ["InService"])
