"""Auto Scaling, EC2, ELBv2 and Route 53, as far as the provision trigger speaks to them.

The calls each part makes stand beside it; the function's permissions are derived from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.blueprint import Call
from triggerfish.errors import Refused
from triggerfish.provision.observation import GroupView, HookView, Listed, Machine
from triggerfish.runtime.aws import calling, error_code, error_message, translate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from botocore.exceptions import ClientError
    from types_boto3_autoscaling import AutoScalingClient
    from types_boto3_autoscaling.type_defs import InstanceTypeDef
    from types_boto3_ec2 import EC2Client
    from types_boto3_ec2.type_defs import InstanceTypeDef as Ec2InstanceTypeDef
    from types_boto3_elbv2 import ElasticLoadBalancingv2Client

GROUP_ARN = (
    "arn:${AWS::Partition}:autoscaling:${AWS::Region}:${AWS::AccountId}:autoScalingGroup:*"
    ":autoScalingGroupName/"
)
"""An ARN of a group holds an id that AWS makes up, so the name is all that can be exact."""

FILTER_VALUES = 200
"""EC2: at most 200 values a filter. `MaxResults` can't go with `InstanceIds`: ids are filtered."""


def auto_scaling_calls(groups: Sequence[str]) -> tuple[Call, ...]:
    """Describing has no resource level (Service Authorization Reference, EC2 Auto Scaling)."""
    describe = ("DescribeAutoScalingGroups", "DescribeLifecycleHooks", "DescribeWarmPool")
    change = (
        "CompleteLifecycleAction",
        "RecordLifecycleActionHeartbeat",
        "TerminateInstanceInAutoScalingGroup",
    )
    return (
        *(Call(f"autoscaling:{action}", "*") for action in describe),
        *(
            Call(f"autoscaling:{action}", f"{GROUP_ARN}{group}")
            for group in groups
            for action in change
        ),
    )


class AwsAutoScaling:
    def __init__(self, client: AutoScalingClient) -> None:
        self._client = client

    def view(self, group: str) -> GroupView:
        with calling("autoscaling:DescribeAutoScalingGroups", f"group {group}"):
            answer = self._client.describe_auto_scaling_groups(AutoScalingGroupNames=[group])
        if not answer["AutoScalingGroups"]:
            raise Refused(
                f"there is no Auto Scaling group {group} in this region and account",
                hint="check `group` in triggerfish.toml, and the stage's region",
            )
        found = answer["AutoScalingGroups"][0]
        instances = _listed(found["Instances"])
        if "WarmPoolConfiguration" in found:
            instances |= self._warm_pool(group)
        return GroupView(
            desired=found["DesiredCapacity"],
            instances=instances,
            target_groups=_target_groups(found),
        )

    def _warm_pool(self, group: str) -> dict[str, Listed]:
        instances: dict[str, Listed] = {}
        token: dict[str, str] = {}
        while True:
            with calling("autoscaling:DescribeWarmPool", f"group {group}"):
                answer = self._client.describe_warm_pool(
                    AutoScalingGroupName=group,
                    **token,  # type: ignore[arg-type]  # one optional key
                )
            instances |= _listed(answer["Instances"])
            if not answer.get("NextToken"):
                return instances
            token = {"NextToken": answer["NextToken"]}

    def hook(self, group: str, name: str) -> HookView | None:
        with calling("autoscaling:DescribeLifecycleHooks", f"hook {name} of group {group}"):
            answer = self._client.describe_lifecycle_hooks(
                AutoScalingGroupName=group, LifecycleHookNames=[name]
            )
        for hook in answer["LifecycleHooks"]:
            return HookView(heartbeat_timeout_s=hook.get("HeartbeatTimeout", 3600))
        return None

    def beat(self, group: str, hook: str, instance: str) -> None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - after a client was made

        call = "autoscaling:RecordLifecycleActionHeartbeat"
        try:
            with calling(call, f"instance {instance}", pass_client_errors=True):
                self._client.record_lifecycle_action_heartbeat(
                    AutoScalingGroupName=group, LifecycleHookName=hook, InstanceId=instance
                )
        except ClientError as error:
            _unless_over(error, call, instance)

    def complete(self, group: str, hook: str, instance: str, result: str) -> None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - after a client was made

        call = "autoscaling:CompleteLifecycleAction"
        try:
            with calling(call, f"instance {instance}", pass_client_errors=True):
                self._client.complete_lifecycle_action(
                    AutoScalingGroupName=group,
                    LifecycleHookName=hook,
                    InstanceId=instance,
                    LifecycleActionResult=result,
                )
        except ClientError as error:
            _unless_over(error, call, instance)

    def terminate(self, instance: str) -> None:
        with calling("autoscaling:TerminateInstanceInAutoScalingGroup", f"instance {instance}"):
            self._client.terminate_instance_in_auto_scaling_group(
                InstanceId=instance, ShouldDecrementDesiredCapacity=False
            )


def _listed(instances: Sequence[InstanceTypeDef]) -> dict[str, Listed]:
    return {
        instance["InstanceId"]: Listed(instance["LifecycleState"], instance["AvailabilityZone"])
        for instance in instances
    }


def _target_groups(group: Mapping[str, object]) -> tuple[str, ...]:
    """Target groups attached the old way and as traffic sources, each once."""
    arns = list(group.get("TargetGroupARNs", []))  # type: ignore[call-overload]
    for source in group.get("TrafficSources", []):  # type: ignore[attr-defined]
        if source.get("Type", "elbv2") == "elbv2" and source["Identifier"] not in arns:
            arns.append(source["Identifier"])
    return tuple(arns)


def _unless_over(error: ClientError, call: str, instance: str) -> None:
    """An action that is over already is what was wanted: completed twice, or timed out."""
    if error_code(error) == "ValidationError" and "No active Lifecycle Action" in error_message(
        error
    ):
        return
    raise translate(error, f"{call}, instance {instance}") from error


def machine_calls(groups: Sequence[str]) -> tuple[Call, ...]:
    """Only instances of our groups may be tagged."""
    return (
        Call("ec2:DescribeInstances", "*"),
        Call(
            "ec2:CreateTags",
            "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/*",
            (("StringEquals", "aws:ResourceTag/aws:autoscaling:groupName", tuple(groups)),),
        ),
    )


class AwsMachines:
    def __init__(self, client: EC2Client) -> None:
        self._client = client

    def describe(self, instances: Collection[str]) -> dict[str, Machine]:
        found: dict[str, Machine] = {}
        for some in _portions(sorted(instances), FILTER_VALUES):
            for described in self._described(some):
                found[described["InstanceId"]] = _machine(described)
        return found

    def _described(self, instances: Sequence[str]) -> Iterator[Ec2InstanceTypeDef]:
        pages = self._client.get_paginator("describe_instances").paginate(
            Filters=[{"Name": "instance-id", "Values": list(instances)}],
            PaginationConfig={"PageSize": 1000},
        )
        with calling("ec2:DescribeInstances", f"{len(instances)} instances"):
            for page in pages:
                for reservation in page["Reservations"]:
                    yield from reservation["Instances"]

    def tag(self, instance: str, tags: Mapping[str, str]) -> None:
        with calling("ec2:CreateTags", f"instance {instance}"):
            self._client.create_tags(
                Resources=[instance],
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )


def _machine(described: Ec2InstanceTypeDef) -> Machine:
    return Machine(
        state=described["State"]["Name"],
        address=described.get("PrivateIpAddress") or None,
        zone=described.get("Placement", {}).get("AvailabilityZone", ""),
        launched_ms=int(described["LaunchTime"].timestamp() * 1000),
        tags={tag["Key"]: tag["Value"] for tag in described.get("Tags", [])},
    )


BALANCER_CALLS = (Call("elasticloadbalancing:DescribeTargetHealth", "*"),)


class AwsBalancers:
    def __init__(self, client: ElasticLoadBalancingv2Client) -> None:
        self._client = client

    def health(
        self, target_groups: Sequence[str], instances: Collection[str]
    ) -> dict[str, tuple[str, ...]]:
        states: dict[str, tuple[str, ...]] = dict.fromkeys(instances, ())
        for target_group in target_groups:
            # Asking for a target that isn't registered is an error, so all are asked for.
            with calling("elasticloadbalancing:DescribeTargetHealth", target_group):
                answer = self._client.describe_target_health(TargetGroupArn=target_group)
            for description in answer["TargetHealthDescriptions"]:
                instance = description["Target"]["Id"]
                if instance in states:
                    state = description["TargetHealth"].get("State", "unknown")
                    states[instance] = (*states[instance], state)
        return states


def _portions(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for at in range(0, len(values), size):
        yield values[at : at + size]
