from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.local.fleet.harness import TOPIC, ApiError

if TYPE_CHECKING:
    from tests.local.fleet.harness import Local

HOOK = {
    "AutoScalingGroupName": "shop",
    "LifecycleHookName": "provision",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
}


def complete(local: Local, verdict: str, **which: str) -> None:
    local.call(
        "autoscaling",
        "CompleteLifecycleAction",
        AutoScalingGroupName="shop",
        LifecycleHookName="provision",
        LifecycleActionResult=verdict,
        **which,
    )


def launch_one_held(local: Local, **changes: object) -> str:
    local.make_group()
    local.call("autoscaling", "PutLifecycleHook", **{**HOOK, "HeartbeatTimeout": 60, **changes})
    local.fleet.state.outbox.clear()
    local.set_desired(1)
    local.pass_s(0.5)
    return local.group().members[0].server.id


def test_a_launched_instance_boots_and_then_serves(local: Local) -> None:
    local.make_group()
    local.set_desired(1)
    local.pass_s(0.1)
    (member,) = local.group().members
    assert (member.lifecycle_state, member.server.state) == ("Pending", "pending")
    assert local.health(member.server.id) == ("unused", "Target.NotRegistered")
    local.pass_s(0.2)
    assert (member.lifecycle_state, member.server.state) == ("InService", "running")
    assert local.health(member.server.id) == ("initial", "Elb.InitialHealthChecking")


def test_a_launch_is_told_in_the_words_of_aws(local: Local) -> None:
    local.make_group()
    local.set_desired(1)
    local.pass_s(1)
    (message,) = local.sent
    (member,) = local.group().members
    instance, subnet, activity = member.server.id, member.server.subnet_id, member.activity.id
    assert message.topic_arn == "arn:aws:sns:eu-west-1:123456789012:changes"
    assert message.subject == 'Auto Scaling: launch for group "shop"'
    assert message.body == (
        '{"Origin":"EC2","Destination":"AutoScalingGroup","Progress":50,'
        '"AccountId":"123456789012",'
        f'"Description":"Launching a new EC2 instance: {instance}","RequestId":"{activity}",'
        f'"EndTime":"2026-01-02T03:04:05.878Z","AutoScalingGroupARN":"{local.group().arn}",'
        f'"ActivityId":"{activity}","StartTime":"2026-01-02T03:04:05.678Z",'
        '"Service":"AWS Auto Scaling","Time":"2026-01-02T03:04:05.878Z",'
        f'"EC2InstanceId":"{instance}","StatusCode":"InProgress","StatusMessage":"",'
        f'"Details":{{"Subnet ID":"{subnet}","Availability Zone":"eu-west-1a"}},'
        '"AutoScalingGroupName":"shop","Cause":"At 2026-01-02T03:04:05Z a user request explicitly '
        "set group desired capacity changing the desired capacity from 0 to 1.  At "
        "2026-01-02T03:04:05Z an instance was started in response to a difference between desired "
        'and actual capacity, increasing the capacity from 0 to 1.",'
        '"Event":"autoscaling:EC2_INSTANCE_LAUNCH"}'
    )


def test_a_burst_is_spread_over_zones_with_one_cause_and_distinct_addresses(local: Local) -> None:
    local.make_group()
    local.set_desired(500)
    local.pass_s(2)
    members = local.group().members
    zones = Counter(member.availability_zone for member in members)
    assert zones == {"eu-west-1a": 167, "eu-west-1b": 167, "eu-west-1c": 166}
    assert len({member.server.private_ip_address for member in members}) == 500
    bodies = local.take()
    assert len({body["EC2InstanceId"] for body in bodies}) == 500
    assert {body["Cause"].partition("  ")[2] for body in bodies} == {
        (
            "At 2026-01-02T03:04:05Z an instance was started in response to a difference between "
            "desired and actual capacity, increasing the capacity from 0 to 500."
        )
    }


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (
            {"DesiredCapacity": 2, "MinSize": 1, "MaxSize": 5},
            (
                "At 2026-01-02T03:04:05Z a user request update of AutoScalingGroup constraints to "
                "min: 1, max: 5, desired: 2 changing the desired capacity from 0 to 2."
            ),
        ),
        (
            {"MinSize": 1},
            (
                "At 2026-01-02T03:04:05Z a user request update of AutoScalingGroup constraints to "
                "min: 1, max: 1000, desired: 1 changing the desired capacity from 0 to 1."
            ),
        ),
    ],
    ids=["desired", "minimum"],
)
def test_an_update_of_the_constraints_is_named_as_the_cause(
    local: Local, change: dict[str, int], cause: str
) -> None:
    local.make_group()
    local.call("autoscaling", "UpdateAutoScalingGroup", AutoScalingGroupName="shop", **change)
    local.pass_s(1)
    assert local.take()[0]["Cause"].partition("  ")[0] == cause


def test_the_creation_of_the_group_is_named_as_the_cause(local: Local) -> None:
    local.make_group(desired=2)
    local.pass_s(1)
    causes = {body["Cause"].partition("  ")[0] for body in local.take()}
    assert causes == {
        (
            "At 2026-01-02T03:04:05Z a user request created an AutoScalingGroup changing the "
            "desired capacity from 0 to 2."
        )
    }


def test_a_launch_that_fails_has_no_instance_and_is_tried_again(local: Local) -> None:
    local.make_group()
    local.control("faults", {"launch_error": {"group": "shop", "count": 1}})
    local.set_desired(1)
    local.pass_s(0.5)
    (body,) = local.take()
    reason = (
        "We currently do not have sufficient t3.micro capacity in the Availability Zone you "
        "requested (eu-west-1a). Our system will be working on provisioning additional capacity. "
        "Launching EC2 instance failed."
    )
    assert body["Event"] == "autoscaling:EC2_INSTANCE_LAUNCH_ERROR"
    assert body["EC2InstanceId"] == ""
    assert (body["StatusCode"], body["Progress"]) == ("Failed", 100)
    assert body["Description"] == f"Launching a new EC2 instance. Status Reason: {reason}"
    assert body["StatusMessage"] == reason
    assert local.group().members == []
    local.pass_s(2)
    assert local.states() == ["InService"]


def test_a_launch_ec2_refuses_is_a_failed_launch(local: Local) -> None:
    local.make_group()
    local.fleet.ec2.launch_templates.clear()
    local.set_desired(1)
    local.pass_s(0.5)
    (body,) = local.take()
    assert body["Event"] == "autoscaling:EC2_INSTANCE_LAUNCH_ERROR"
    assert "does not exist" in body["StatusMessage"]


def test_a_full_subnet_is_a_failed_launch(local: Local) -> None:
    local.make_group()
    vpc = local.call("ec2", "CreateVpc", CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    small = local.call("ec2", "CreateSubnet", VpcId=vpc, CidrBlock="10.9.0.0/28")["Subnet"]
    local.call(
        "autoscaling",
        "UpdateAutoScalingGroup",
        AutoScalingGroupName="shop",
        VPCZoneIdentifier=small["SubnetId"],
        DesiredCapacity=20,
    )
    local.pass_s(0.9)
    failed = [body for body in local.take() if body["EC2InstanceId"] == ""]
    assert [body["StatusMessage"] for body in failed] == [
        (
            f"There are not enough free addresses in subnet '{small['SubnetId']}' to satisfy the "
            "requested number of instances."
        )
    ]
    assert len(local.in_service()) == 11


def test_a_group_that_names_zones_uses_their_default_subnets(local: Local) -> None:
    local.make_group()
    template = local.group().ec2_launch_template
    assert template is not None
    local.call(
        "autoscaling",
        "CreateAutoScalingGroup",
        AutoScalingGroupName="zones",
        LaunchTemplate={"LaunchTemplateId": template.id},
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=2,
        AvailabilityZones=["eu-west-1a", "eu-west-1c"],
    )
    local.pass_s(1)
    zones = [member.availability_zone for member in local.group("zones").members]
    assert zones == ["eu-west-1a", "eu-west-1c"]


def test_a_hook_holds_an_instance_out_of_the_target_group_until_it_may_continue(
    local: Local,
) -> None:
    instance = launch_one_held(local)
    assert local.states() == ["Pending:Wait"]
    assert local.health(instance) == ("unused", "Target.NotRegistered")
    assert local.take() == []
    complete(local, "CONTINUE", InstanceId=instance)
    assert local.states() == ["Pending:Proceed"]
    local.pass_s(0.1)
    assert local.states() == ["InService"]
    assert local.health(instance)[0] == "initial"
    assert [body["Event"] for body in local.take()] == ["autoscaling:EC2_INSTANCE_LAUNCH"]


def test_a_hook_with_a_topic_says_that_it_waits(local: Local) -> None:
    instance = launch_one_held(local, NotificationTargetARN=TOPIC, NotificationMetadata="blue")
    (message,) = local.sent
    (body,) = local.take()
    token, request = body["LifecycleActionToken"], body["RequestId"]
    assert message.subject == (
        f"Auto Scaling: Lifecycle action 'LAUNCHING' for instance {instance} in progress."
    )
    assert message.body == (
        '{"Origin":"EC2","LifecycleHookName":"provision","Destination":"AutoScalingGroup",'
        f'"AccountId":"123456789012","RequestId":"{request}",'
        '"LifecycleTransition":"autoscaling:EC2_INSTANCE_LAUNCHING",'
        '"AutoScalingGroupName":"shop","Service":"AWS Auto Scaling",'
        f'"Time":"2026-01-02T03:04:05.878Z","EC2InstanceId":"{instance}",'
        f'"NotificationMetadata":"blue","LifecycleActionToken":"{token}"}}'
    )
    complete(local, "CONTINUE", LifecycleActionToken=token)
    local.pass_s(0.1)
    assert local.states() == ["InService"]


def test_a_target_of_a_hook_gets_a_test_message_when_it_is_set(local: Local) -> None:
    local.make_group()
    local.call("autoscaling", "PutLifecycleHook", **HOOK)
    assert local.take() == []
    for _ in range(2):
        local.call("autoscaling", "PutLifecycleHook", **HOOK, NotificationTargetARN=TOPIC)
    assert [body["Event"] for body in local.take()] == ["autoscaling:TEST_NOTIFICATION"]


def test_an_abandoned_launch_fails_with_its_instance_and_is_replaced(local: Local) -> None:
    instance = launch_one_held(local)
    token = local.member(instance).actions[0].token
    complete(local, "ABANDON", InstanceId=instance)
    local.pass_s(1)
    (body,) = local.take()
    assert body["Event"] == "autoscaling:EC2_INSTANCE_LAUNCH_ERROR"
    assert body["EC2InstanceId"] == instance
    assert body["Description"] == (
        f"Launching a new EC2 instance: {instance}. Status Reason: Instance failed to complete "
        f"user's Lifecycle Action: Lifecycle Action with token {token} was abandoned: Lifecycle "
        "Action Completed with ABANDON Result"
    )
    (replacement,) = local.group().members
    assert replacement.server.id != instance
    assert replacement.lifecycle_state == "Pending:Wait"
    assert local.fleet.ec2.servers[instance].state == "terminated"


@pytest.mark.parametrize(
    ("result", "states", "event"),
    [
        ("CONTINUE", ["InService"], "autoscaling:EC2_INSTANCE_LAUNCH"),
        ("ABANDON", ["Pending:Wait"], "autoscaling:EC2_INSTANCE_LAUNCH_ERROR"),
    ],
)
def test_a_hook_nobody_answers_ends_with_its_default(
    local: Local, result: str, states: list[str], event: str
) -> None:
    instance = launch_one_held(local, DefaultResult=result)
    local.pass_s(59)
    assert local.states() == ["Pending:Wait"]
    local.pass_s(2)
    assert local.states() == states
    (body,) = local.take()
    assert (body["Event"], body["EC2InstanceId"]) == (event, instance)
    if result == "ABANDON":
        assert body["StatusMessage"].endswith("was abandoned: Heartbeat Timeout")


def test_a_heartbeat_gives_the_hook_its_time_again(local: Local) -> None:
    instance = launch_one_held(local)
    for _ in range(3):
        local.pass_s(50)
        local.call(
            "autoscaling",
            "RecordLifecycleActionHeartbeat",
            AutoScalingGroupName="shop",
            LifecycleHookName="provision",
            InstanceId=instance,
        )
    local.pass_s(59)
    assert local.states() == ["Pending:Wait"]
    local.pass_s(2)
    assert local.member(local.group().members[0].server.id).server.id != instance


def test_heartbeats_end_at_a_hundred_timeouts(local: Local) -> None:
    instance = launch_one_held(local, DefaultResult="CONTINUE")
    for _ in range(200):
        local.pass_s(30)
        if local.states() == ["InService"]:
            break
        local.call(
            "autoscaling",
            "RecordLifecycleActionHeartbeat",
            AutoScalingGroupName="shop",
            LifecycleHookName="provision",
            InstanceId=instance,
        )
    waited_s = (local.clock.at - local.group().members[0].activity.started_at).total_seconds()
    assert 6000 <= waited_s <= 6060


def test_every_hook_must_let_an_instance_go(local: Local) -> None:
    local.make_group()
    for name in ("provision", "audit"):
        local.call("autoscaling", "PutLifecycleHook", **{**HOOK, "LifecycleHookName": name})
    local.set_desired(1)
    local.pass_s(1)
    instance = local.group().members[0].server.id
    complete(local, "CONTINUE", InstanceId=instance)
    assert local.states() == ["Pending:Wait"]
    local.call(
        "autoscaling", "DeleteLifecycleHook", AutoScalingGroupName="shop", LifecycleHookName="audit"
    )
    local.pass_s(1)
    # The default result of a hook is ABANDON.
    assert local.group().member(instance) is None


@pytest.mark.parametrize(
    ("which", "text"),
    [
        (
            {"LifecycleActionToken": "f66c3d47-e602-4af0-8edd-d4e4d2fe4620"},
            "No active Lifecycle Action found with token f66c3d47-e602-4af0-8edd-d4e4d2fe4620",
        ),
        (
            {"InstanceId": "i-09c7205a117f0d09a"},
            "No active Lifecycle Action found with instance ID i-09c7205a117f0d09a",
        ),
    ],
    ids=["token", "instance"],
)
def test_completing_an_action_that_is_over_is_refused_as_aws_does(
    local: Local, which: dict[str, str], text: str
) -> None:
    launch_one_held(local)
    with pytest.raises(ApiError) as refused:
        complete(local, "CONTINUE", **which)
    assert (refused.value.status, refused.value.code) == (400, "ValidationError")
    assert refused.value.message == text


def test_completing_twice_is_refused_the_second_time(local: Local) -> None:
    instance = launch_one_held(local)
    complete(local, "CONTINUE", InstanceId=instance)
    with pytest.raises(ApiError, match=f"instance ID {instance}$"):
        complete(local, "CONTINUE", InstanceId=instance)


def test_an_instance_that_dies_while_pending_is_a_failed_launch(local: Local) -> None:
    local.make_group()
    local.set_desired(1)
    local.pass_s(0.1)
    instance = local.group().members[0].server.id
    local.call("ec2", "TerminateInstances", InstanceIds=[instance])
    local.pass_s(2)
    failed, launched = local.take()
    assert failed["Event"] == "autoscaling:EC2_INSTANCE_LAUNCH_ERROR"
    assert failed["EC2InstanceId"] == instance
    assert failed["StatusMessage"].startswith("Instance became unhealthy while waiting")
    assert launched["Event"] == "autoscaling:EC2_INSTANCE_LAUNCH"
    assert launched["EC2InstanceId"] == local.in_service()[0] != instance


def test_nothing_is_launched_while_launch_is_suspended(local: Local) -> None:
    local.make_group()
    suspension = {"AutoScalingGroupName": "shop", "ScalingProcesses": ["Launch"]}
    local.call("autoscaling", "SuspendProcesses", **suspension)
    local.set_desired(2)
    local.pass_s(5)
    assert local.states() == []
    local.call("autoscaling", "ResumeProcesses", **suspension)
    local.pass_s(1)
    assert local.states() == ["InService", "InService"]
