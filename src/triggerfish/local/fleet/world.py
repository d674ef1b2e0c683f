"""Creates in the fleet what a configuration names: network, launch template, groups, targets.

Everything is found by name first, so calling it again, or after a restart, changes nothing.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from triggerfish.errors import InputError
from triggerfish.runtime.aws import ANY_SERVICE, Clients, Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from types_boto3_autoscaling import AutoScalingClient
    from types_boto3_ec2 import EC2Client
    from types_boto3_elbv2 import ElasticLoadBalancingv2Client
    from types_boto3_elbv2.type_defs import TargetGroupTypeDef

NAME = "triggerfish-local"
VPC_CIDR = "10.0.0.0/16"
IMAGE = "ami-0123456789abcdef0"
FIRST_LISTENER_PORT = 8001


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldGroup:
    """An Auto Scaling group to be there.

    `zones` are letters, by default those of the region's first three zones (not a, b and c
    everywhere); each has a subnet of 4,091 addresses.

    `hook` is the name of a launch hook; its SNS target is set by whoever knows the topic, with
    PutLifecycleHook.
    """

    name: str
    minimum: int = 0
    maximum: int = 1000
    desired: int = 0
    zones: tuple[str, ...] = ()
    target_group: bool = True
    hook: str | None = None
    hook_heartbeat_s: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupIds:
    arn: str
    target_group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    vpc: str
    subnets: Mapping[str, str]
    """Subnet ids by zone (`eu-west-1a`)."""
    launch_template: str
    load_balancer: str | None
    groups: Mapping[str, GroupIds] = field(default_factory=dict)


class _Doors:
    def __init__(self, endpoint: str, region: str) -> None:
        self._clients = Clients(
            region=region,
            endpoints={ANY_SERVICE: endpoint},
            credentials=Credentials("local", "local"),
        )
        self.region = region
        self.ec2: EC2Client = self._clients.ec2
        self.elbv2: ElasticLoadBalancingv2Client = self._clients.elbv2
        self.autoscaling: AutoScalingClient = self._clients.autoscaling

    def close(self) -> None:
        self._clients.close()


def ensure_world(endpoint: str, region: str, groups: Sequence[WorldGroup]) -> World:
    doors = _Doors(endpoint, region)
    try:
        return _ensure(doors, groups)
    finally:
        doors.close()


def _ensure(doors: _Doors, groups: Sequence[WorldGroup]) -> World:
    vpc = _vpc(doors.ec2)
    subnets = _subnets(doors, vpc, _zones(doors, groups))
    template = _launch_template(doors.ec2)
    balancer = None
    if any(group.target_group for group in groups):
        balancer = _load_balancer(doors.elbv2, list(subnets.values()))
    targets = _target_groups(doors.elbv2, vpc, balancer, groups)
    _groups(doors, groups, subnets, template, targets)
    return World(
        vpc=vpc,
        subnets=subnets,
        launch_template=template,
        load_balancer=balancer,
        groups={
            name: GroupIds(arn=arn, target_group=targets.get(name))
            for name, arn in _group_arns(doors.autoscaling, groups).items()
        },
    )


def _vpc(ec2: EC2Client) -> str:
    filters = [{"Name": "tag:Name", "Values": [NAME]}]
    found = ec2.describe_vpcs(Filters=cast("list", filters))["Vpcs"]  # type: ignore[type-arg]
    if found:
        return found[0]["VpcId"]
    return ec2.create_vpc(
        CidrBlock=VPC_CIDR,
        TagSpecifications=[
            {"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": NAME}]},
        ],
    )["Vpc"]["VpcId"]


def _zones(doors: _Doors, groups: Sequence[WorldGroup]) -> list[str]:
    """The region's first three zones, and those the groups name."""
    found = doors.ec2.describe_availability_zones()["AvailabilityZones"]
    known = sorted(zone["ZoneName"] for zone in found)
    named = {f"{doors.region}{letter}" for group in groups for letter in group.zones}
    if unknown := sorted(named - set(known)):
        raise InputError(f"no such zone: {', '.join(unknown)}; wanted some of {', '.join(known)}")
    return sorted({*known[:3], *named})


def _subnets(doors: _Doors, vpc: str, zones: Sequence[str]) -> dict[str, str]:
    """A /20 for each zone: `a` has 10.0.0.0, `b` 10.0.16.0, and so on."""
    found = doors.ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    subnets = {subnet["AvailabilityZone"]: subnet["SubnetId"] for subnet in found}
    for zone in zones:
        if zone not in subnets:
            third = 16 * (ord(zone[-1]) - ord("a"))
            subnets[zone] = doors.ec2.create_subnet(
                VpcId=vpc, CidrBlock=f"10.0.{third}.0/20", AvailabilityZone=zone
            )["Subnet"]["SubnetId"]
    return dict(sorted(subnets.items()))


def _launch_template(ec2: EC2Client) -> str:
    for template in ec2.describe_launch_templates()["LaunchTemplates"]:
        if template["LaunchTemplateName"] == NAME:
            return template["LaunchTemplateId"]
    return ec2.create_launch_template(
        LaunchTemplateName=NAME,
        LaunchTemplateData={"ImageId": IMAGE, "InstanceType": "t3.micro"},
    )["LaunchTemplate"]["LaunchTemplateId"]


def _load_balancer(elbv2: ElasticLoadBalancingv2Client, subnets: Sequence[str]) -> str:
    for found in elbv2.describe_load_balancers()["LoadBalancers"]:
        if found["LoadBalancerName"] == NAME:
            return found["LoadBalancerArn"]
    return elbv2.create_load_balancer(Name=NAME, Subnets=list(subnets), Scheme="internal")[
        "LoadBalancers"
    ][0]["LoadBalancerArn"]


def target_group_name(group: str) -> str:
    """At most 32 letters, digits and hyphens; neither the first nor the last is a hyphen."""
    safe = "".join(letter if letter.isalnum() else "-" for letter in group).strip("-")
    if safe == group and len(safe) <= 32:
        return safe
    return f"{safe[:23]}-{zlib.crc32(group.encode()):08x}"


def _target_groups(
    elbv2: ElasticLoadBalancingv2Client,
    vpc: str,
    balancer: str | None,
    groups: Sequence[WorldGroup],
) -> dict[str, str]:
    """One for each group, with a listener: without one, its targets would be `unused`."""
    known = {one["TargetGroupName"]: one for one in elbv2.describe_target_groups()["TargetGroups"]}
    found: dict[str, str] = {}
    ports = FIRST_LISTENER_PORT + sum(bool(one["LoadBalancerArns"]) for one in known.values())
    for group in groups:
        if not group.target_group or balancer is None:
            continue
        target = known.get(target_group_name(group.name)) or _target_group(elbv2, vpc, group.name)
        found[group.name] = target["TargetGroupArn"]
        if not target.get("LoadBalancerArns"):
            forward = [
                {"Type": "forward", "TargetGroupArn": target["TargetGroupArn"]},
            ]
            elbv2.create_listener(
                LoadBalancerArn=balancer,
                Protocol="HTTP",
                Port=ports,
                DefaultActions=cast("list", forward),  # type: ignore[type-arg]
            )
            ports += 1
    return found


def _target_group(elbv2: ElasticLoadBalancingv2Client, vpc: str, group: str) -> TargetGroupTypeDef:
    return elbv2.create_target_group(
        Name=target_group_name(group),
        Protocol="HTTP",
        Port=8080,
        VpcId=vpc,
        TargetType="instance",
        HealthCheckPath="/health",
    )["TargetGroups"][0]


def _groups(
    doors: _Doors,
    groups: Sequence[WorldGroup],
    subnets: Mapping[str, str],
    template: str,
    targets: Mapping[str, str],
) -> None:
    existing = _group_arns(doors.autoscaling, groups)
    for group in groups:
        if group.name not in existing:
            named = [f"{doors.region}{letter}" for letter in group.zones]
            zones = [subnets[zone] for zone in named or list(subnets)[:3]]
            doors.autoscaling.create_auto_scaling_group(
                AutoScalingGroupName=group.name,
                LaunchTemplate={"LaunchTemplateId": template},
                MinSize=group.minimum,
                MaxSize=group.maximum,
                DesiredCapacity=group.desired,
                VPCZoneIdentifier=",".join(zones),
                TargetGroupARNs=[targets[group.name]] if group.name in targets else [],
            )
        if group.hook is not None:
            doors.autoscaling.put_lifecycle_hook(
                AutoScalingGroupName=group.name,
                LifecycleHookName=group.hook,
                LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
                HeartbeatTimeout=group.hook_heartbeat_s,
            )


def _group_arns(autoscaling: AutoScalingClient, groups: Sequence[WorldGroup]) -> dict[str, str]:
    if not groups:
        return {}
    pages = autoscaling.get_paginator("describe_auto_scaling_groups").paginate(
        AutoScalingGroupNames=[group.name for group in groups]
    )
    return {
        one["AutoScalingGroupName"]: one["AutoScalingGroupARN"]
        for page in pages
        for one in page["AutoScalingGroups"]
    }
