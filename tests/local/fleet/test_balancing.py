from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.fleet.harness import ApiError

if TYPE_CHECKING:
    from tests.local.fleet.harness import Local


def test_a_target_is_unhealthy_until_a_job_has_provisioned_it(local: Local) -> None:
    local.make_group(1)
    local.pass_s(0.3)
    (instance,) = local.in_service()
    assert local.health(instance) == ("initial", "Elb.InitialHealthChecking")
    local.pass_s(1)
    assert local.health(instance) == ("unhealthy", "Target.FailedHealthChecks")
    build = {"job": "infra/provision", "build": 7, "parameters": {"INSTANCE_ID": instance}}
    assert local.control("provisioned", build) == (200, {"provisioned": instance})
    assert local.health(instance)[0] == "unhealthy"
    local.pass_s(0.2)
    assert local.health(instance) == ("healthy", None)


def test_a_provisioned_server_is_healthy_again_soon_after_it_is_registered_again(
    local: Local,
) -> None:
    (instance,) = local.make_serving(1)
    local.control("provisioned", {"instance": instance})
    target = {"TargetGroupArn": local.target_group, "Targets": [{"Id": instance}]}
    local.call("elbv2", "DeregisterTargets", **target)
    assert local.health(instance) == ("draining", "Target.DeregistrationInProgress")
    local.call("elbv2", "RegisterTargets", **target)
    assert local.health(instance)[0] == "initial"
    local.pass_s(0.2)
    assert local.health(instance)[0] == "healthy"


def test_registering_again_does_not_start_the_checks_again(local: Local) -> None:
    (instance,) = local.make_serving(1)
    target = {"TargetGroupArn": local.target_group, "Targets": [{"Id": instance}]}
    local.call("elbv2", "RegisterTargets", **target)
    assert local.health(instance)[0] == "unhealthy"


def test_all_targets_are_listed_and_those_that_drain(local: Local) -> None:
    first, second = local.make_serving(2)
    local.call(
        "elbv2",
        "DeregisterTargets",
        TargetGroupArn=local.target_group,
        Targets=[{"Id": first}],
    )

    def states() -> dict[str, str]:
        found = local.call("elbv2", "DescribeTargetHealth", TargetGroupArn=local.target_group)
        return {
            one["Target"]["Id"]: one["TargetHealth"]["State"]
            for one in found["TargetHealthDescriptions"]
        }

    assert states() == {second: "unhealthy", first: "draining"}
    local.pass_s(0.5)
    assert states() == {second: "unhealthy"}


def test_a_target_group_without_a_listener_is_not_in_use(local: Local) -> None:
    (instance,) = local.make_serving(1)
    vpc = local.fleet.ec2.servers[instance].vpc_id
    lonely = local.call(
        "elbv2", "CreateTargetGroup", Name="lonely", Protocol="HTTP", Port=80, VpcId=vpc
    )["TargetGroups"][0]["TargetGroupArn"]
    local.call("elbv2", "RegisterTargets", TargetGroupArn=lonely, Targets=[{"Id": instance}])
    local.target_group = lonely
    assert local.health(instance) == ("unused", "Target.NotInUse")


def test_an_unknown_target_group_is_refused(local: Local) -> None:
    unknown = (
        "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/none/0123456789abcdef"
    )
    for action in ("DescribeTargetHealth", "DeregisterTargets"):
        with pytest.raises(ApiError) as refused:
            local.call(
                "elbv2",
                action,
                TargetGroupArn=unknown,
                Targets=[{"Id": "i-0123456789abcdef0"}],
            )
        assert refused.value.code == "TargetGroupNotFound"


def test_a_group_outlives_its_target_group(local: Local) -> None:
    local.make_serving(1)
    del local.fleet.balancing.target_groups[local.target_group]
    local.set_desired(2)
    local.pass_s(1)
    assert len(local.in_service()) == 2
