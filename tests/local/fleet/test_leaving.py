from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.fleet.harness import ApiError

if TYPE_CHECKING:
    from tests.local.fleet.harness import Local

TERMINATE_HOOK = {
    "AutoScalingGroupName": "shop",
    "LifecycleHookName": "drain",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    "HeartbeatTimeout": 60,
}


def terminate(local: Local, instance: str, *, decrement: bool) -> dict[str, object]:
    found: dict[str, object] = local.call(
        "autoscaling",
        "TerminateInstanceInAutoScalingGroup",
        InstanceId=instance,
        ShouldDecrementDesiredCapacity=decrement,
    )["Activity"]
    return found


def test_a_smaller_group_says_which_member_went_and_why(local: Local) -> None:
    local.make_serving(2)
    local.set_desired(1)
    local.pass_s(2)
    (message,) = local.sent
    (body,) = local.take()
    instance, activity = body["EC2InstanceId"], body["ActivityId"]
    assert message.subject == 'Auto Scaling: termination for group "shop"'
    assert list(body) == [
        "Origin",
        "Destination",
        "Progress",
        "AccountId",
        "Description",
        "RequestId",
        "EndTime",
        "AutoScalingGroupARN",
        "ActivityId",
        "StartTime",
        "Service",
        "Time",
        "EC2InstanceId",
        "StatusCode",
        "StatusMessage",
        "Details",
        "AutoScalingGroupName",
        "Cause",
        "Event",
    ]
    assert body == {
        "Origin": "AutoScalingGroup",
        "Destination": "EC2",
        "Progress": 50,
        "AccountId": "123456789012",
        "Description": f"Terminating EC2 instance: {instance}",
        "RequestId": activity,
        "EndTime": "2026-01-02T03:04:07.078Z",
        "AutoScalingGroupARN": local.group().arn,
        "ActivityId": activity,
        "StartTime": "2026-01-02T03:04:06.678Z",
        "Service": "AWS Auto Scaling",
        "Time": "2026-01-02T03:04:07.078Z",
        "EC2InstanceId": instance,
        "StatusCode": "InProgress",
        "StatusMessage": "",
        "Details": {
            "Subnet ID": local.fleet.ec2.servers[instance].subnet_id,
            "Availability Zone": "eu-west-1b",
        },
        "AutoScalingGroupName": "shop",
        "Cause": "At 2026-01-02T03:04:06Z a user request explicitly set group desired capacity "
        "changing the desired capacity from 2 to 1.  At 2026-01-02T03:04:06Z an instance was taken "
        "out of service in response to a difference between desired and actual capacity, shrinking "
        f"the capacity from 2 to 1.  At 2026-01-02T03:04:06Z instance {instance} was selected for "
        "termination.",
        "Event": "autoscaling:EC2_INSTANCE_TERMINATE",
    }


def test_a_leaving_member_drains_then_shuts_down_then_is_gone(local: Local) -> None:
    (instance,) = local.make_serving(1)
    terminate(local, instance, decrement=True)
    server = local.fleet.ec2.servers[instance]
    local.pass_s(0.1)
    assert (local.states(), server.state) == (["Terminating"], "running")
    assert local.health(instance) == ("draining", "Target.DeregistrationInProgress")
    local.pass_s(0.2)
    assert (local.states(), server.state) == (["Terminating"], "shutting-down")
    assert local.health(instance) == ("unused", "Target.NotRegistered")
    local.pass_s(0.2)
    assert (local.states(), server.state) == ([], "terminated")


def test_a_member_killed_in_ec2_is_noticed_and_replaced(local: Local) -> None:
    instance, *_ = local.make_serving(3)
    local.call("ec2", "TerminateInstances", InstanceIds=[instance])
    local.pass_s(2)
    launched, gone = sorted(local.take(), key=lambda body: str(body["Event"]))
    assert gone["EC2InstanceId"] == instance
    assert gone["Cause"] == (
        "At 2026-01-02T03:04:06Z an instance was taken out of service in response to an EC2 health "
        "check indicating it has been terminated or stopped."
    )
    assert launched["EC2InstanceId"] != instance
    assert launched["Cause"] == (
        "At 2026-01-02T03:04:06Z an instance was launched in response to an unhealthy instance "
        "needing to be replaced."
    )
    assert local.states() == ["InService"] * 3


def test_a_stopped_member_is_replaced_too(local: Local) -> None:
    instance, *_ = local.make_serving(2)
    local.call("ec2", "StopInstances", InstanceIds=[instance])
    assert local.health(instance) == ("unused", "Target.InvalidState")
    local.pass_s(2)
    assert instance not in local.in_service()
    assert local.states() == ["InService", "InService"]
    assert local.fleet.ec2.servers[instance].state == "terminated"


@pytest.mark.parametrize("process", ["HealthCheck", "ReplaceUnhealthy"])
def test_a_dead_member_stays_while_its_check_is_suspended(local: Local, process: str) -> None:
    (instance,) = local.make_serving(1)
    suspension = {"AutoScalingGroupName": "shop", "ScalingProcesses": [process]}
    local.call("autoscaling", "SuspendProcesses", **suspension)
    local.call("ec2", "TerminateInstances", InstanceIds=[instance])
    local.pass_s(2)
    assert [member.server.id for member in local.group().members] == [instance]
    local.call("autoscaling", "ResumeProcesses", **suspension)
    local.pass_s(2)
    assert local.in_service() != [instance]
    assert local.states() == ["InService"]


def test_nothing_is_terminated_while_terminate_is_suspended(local: Local) -> None:
    local.make_serving(2)
    local.call(
        "autoscaling",
        "SuspendProcesses",
        AutoScalingGroupName="shop",
        ScalingProcesses=["Terminate"],
    )
    local.set_desired(1)
    local.pass_s(3)
    assert local.states() == ["InService", "InService"]
    local.call("autoscaling", "ResumeProcesses", AutoScalingGroupName="shop")
    local.pass_s(3)
    assert local.states() == ["InService"]


def test_terminating_a_member_with_decrement_shrinks_the_group(local: Local) -> None:
    instance, *_ = local.make_serving(2)
    activity = terminate(local, instance, decrement=True)
    assert activity["Description"] == f"Terminating EC2 instance: {instance}"
    assert activity["Cause"] == (
        f"At 2026-01-02T03:04:06Z instance {instance} was taken out of service in response to a "
        "user request, shrinking the capacity from 2 to 1."
    )
    assert activity["StatusCode"] == "InProgress"
    local.pass_s(2)
    assert [body["EC2InstanceId"] for body in local.take()] == [instance]
    assert local.group().desired == 1


def test_terminating_a_member_without_decrement_brings_another(local: Local) -> None:
    (instance,) = local.make_serving(1)
    activity = terminate(local, instance, decrement=False)
    assert str(activity["Cause"]).endswith("in response to a user request.")
    again = terminate(local, instance, decrement=False)
    assert again["ActivityId"] == activity["ActivityId"]
    local.pass_s(2)
    assert len(local.in_service()) == 1
    assert instance not in local.in_service()


def test_the_minimum_is_kept(local: Local) -> None:
    (instance,) = local.make_serving(1, MinSize=1)
    with pytest.raises(ApiError) as refused:
        terminate(local, instance, decrement=True)
    assert refused.value.code == "ValidationError"
    assert refused.value.message == (
        "Currently, desiredSize equals minSize (1). Terminating instance without replacement will "
        "violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to "
        "false or lower group's min size."
    )


def test_an_unknown_instance_is_refused(local: Local) -> None:
    local.make_group()
    with pytest.raises(ApiError) as refused:
        terminate(local, "i-0123456789abcdef0", decrement=False)
    assert refused.value.message == (
        "Instance Id not found - No managed instance found for instance ID i-0123456789abcdef0"
    )


def test_a_terminate_hook_holds_a_member_and_shows_in_the_message(local: Local) -> None:
    (instance,) = local.make_serving(1)
    local.call(
        "autoscaling",
        "PutLifecycleHook",
        **TERMINATE_HOOK,
        NotificationTargetARN="arn:aws:sns:eu-west-1:123456789012:hooks",
    )
    local.take()
    terminate(local, instance, decrement=True)
    local.pass_s(5)
    assert local.states() == ["Terminating:Wait"]
    assert local.fleet.ec2.servers[instance].state == "running"
    (notice,) = local.take()
    assert notice["Origin"] == "AutoScalingGroup"
    assert notice["Destination"] == "EC2"
    assert notice["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    local.call(
        "autoscaling",
        "CompleteLifecycleAction",
        AutoScalingGroupName="shop",
        LifecycleHookName="drain",
        LifecycleActionResult="CONTINUE",
        LifecycleActionToken=notice["LifecycleActionToken"],
    )
    assert local.states() == ["Terminating:Proceed"]
    local.pass_s(1)
    (body,) = local.take()
    assert (body["StatusCode"], body["Progress"]) == ("MidTerminatingLifecycleAction", 60)


def test_a_terminate_hook_nobody_answers_lets_the_member_go(local: Local) -> None:
    (instance,) = local.make_serving(1)
    local.call("autoscaling", "PutLifecycleHook", **TERMINATE_HOOK)
    terminate(local, instance, decrement=True)
    local.pass_s(62)
    assert local.states() == []
    assert [body["Event"] for body in local.take()] == ["autoscaling:EC2_INSTANCE_TERMINATE"]


def test_a_member_killed_while_a_terminate_hook_holds_it_still_waits(local: Local) -> None:
    (instance,) = local.make_serving(1)
    local.call("autoscaling", "PutLifecycleHook", **TERMINATE_HOOK)
    terminate(local, instance, decrement=True)
    local.pass_s(1)
    local.call("ec2", "TerminateInstances", InstanceIds=[instance])
    local.pass_s(10)
    assert local.states() == ["Terminating:Wait"]
    local.pass_s(60)
    assert local.states() == []


def test_a_termination_that_fails_is_told_and_tried_again(local: Local) -> None:
    local.make_serving(1)
    local.control("faults", {"terminate_error": {"group": "shop", "reason": "Not now."}})
    local.set_desired(0)
    local.pass_s(0.5)
    (body,) = local.take()
    (instance,) = local.in_service()
    assert body["Event"] == "autoscaling:EC2_INSTANCE_TERMINATE_ERROR"
    assert body["EC2InstanceId"] == instance
    assert (body["StatusCode"], body["StatusMessage"]) == ("Failed", "Not now.")
    assert body["Description"] == f"Terminating EC2 instance: {instance}. Status Reason: Not now."
    local.pass_s(3)
    assert local.states() == []


@pytest.mark.parametrize(
    ("policy", "position"), [("OldestInstance", 0), ("NewestInstance", 3), ("Default", 0)]
)
def test_the_fullest_zone_shrinks_first_and_there_the_policy_decides(
    local: Local, policy: str, position: int
) -> None:
    instances = local.make_serving(4, TerminationPolicies=[policy])
    local.set_desired(3)
    local.pass_s(2)
    assert set(instances) - set(local.in_service()) == {instances[position]}


def test_a_protected_member_is_not_chosen(local: Local) -> None:
    first, second = local.make_serving(2)
    local.call(
        "autoscaling",
        "SetInstanceProtection",
        AutoScalingGroupName="shop",
        InstanceIds=[second],
        ProtectedFromScaleIn=True,
    )
    local.set_desired(0)
    local.pass_s(2)
    assert local.in_service() == [second]
    assert first not in local.in_service()


def test_a_member_a_user_calls_unhealthy_is_replaced(local: Local) -> None:
    (instance,) = local.make_serving(1)
    unhealthy = {"InstanceId": instance, "HealthStatus": "Unhealthy"}
    local.call("autoscaling", "SetInstanceHealth", **unhealthy)
    local.pass_s(2)
    gone = next(body for body in local.take() if body["EC2InstanceId"] == instance)
    assert gone["Cause"].endswith("in response to a user health-check.")
    assert len(local.in_service()) == 1


def test_an_elb_group_replaces_what_is_unhealthy_after_its_grace_period(local: Local) -> None:
    local.make_group(1, HealthCheckType="ELB", HealthCheckGracePeriod=30)
    local.pass_s(29)
    assert [body["Event"] for body in local.take()] == ["autoscaling:EC2_INSTANCE_LAUNCH"]
    (instance,) = local.in_service()
    local.pass_s(3)
    gone = next(body for body in local.take() if body["EC2InstanceId"] == instance)
    assert gone["Cause"].endswith("in response to an ELB system health check failure.")


def test_an_elb_group_keeps_a_provisioned_member_until_it_breaks(local: Local) -> None:
    local.make_group(1, HealthCheckType="ELB", HealthCheckGracePeriod=30)
    local.pass_s(10)
    (instance,) = local.in_service()
    local.control("provisioned", {"instance": instance})
    local.pass_s(60)
    assert local.in_service() == [instance]
    local.control("health", {"instance": instance, "healthy": False})
    local.pass_s(2)
    assert local.in_service() != [instance]


def test_a_group_with_members_is_deleted_only_by_force(local: Local) -> None:
    instances = local.make_serving(2)
    with pytest.raises(ApiError) as refused:
        local.call("autoscaling", "DeleteAutoScalingGroup", AutoScalingGroupName="shop")
    assert refused.value.code == "ResourceInUse"
    local.call(
        "autoscaling", "DeleteAutoScalingGroup", AutoScalingGroupName="shop", ForceDelete=True
    )
    local.pass_s(1)
    assert {local.fleet.ec2.servers[one].state for one in instances} == {"terminated"}
    groups = local.call("autoscaling", "DescribeAutoScalingGroups")["AutoScalingGroups"]
    assert groups == []
