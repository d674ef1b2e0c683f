"""What will hurt some day, read from the groups as they are in AWS. For `check --aws`.

Each piece says what was found, why it hurts and what to do; `facts` are AWS's own documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from triggerfish.errors import Error, Refused
from triggerfish.runtime.aws import calling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from types_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef

    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.runtime.aws import Clients

NEEDED_NOTIFICATIONS = frozenset(
    {"autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_TERMINATE"}
)
LONG_NEGATIVE_TTL_S = 60
"""A name looked up before it exists is cached as absent for the SOA minimum; 900 s by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    severity: Literal["error", "warning"]
    where: str
    found: str
    why: str
    do: str


def advise(
    groups: Sequence[ProvisionGroup],
    clients: Clients,
    parameter_names: Callable[[ProvisionGroup, str], Sequence[str]],
    stack: str,
) -> list[Advice]:
    """Read every configured group and say what will hurt, the worst first."""
    found: list[Advice] = []
    for group in groups:
        found += _group_advice(group, clients, stack)
        found += _jenkins_advice(group, parameter_names)
    for zone in sorted({group.zone for group in groups}):
        found += _zone_advice(zone, clients)
    return sorted(found, key=lambda one: (one.severity != "error", one.where))


def _group_advice(group: ProvisionGroup, clients: Clients, stack: str) -> Iterator[Advice]:
    where = f"group {group.group}"
    with calling("autoscaling:DescribeAutoScalingGroups", where):
        answer = clients.autoscaling.describe_auto_scaling_groups(
            AutoScalingGroupNames=[group.group]
        )
    if not answer["AutoScalingGroups"]:
        yield Advice(
            severity="error",
            where=where,
            found="no such Auto Scaling group in this region and account",
            why="nothing will ever be provisioned",
            do="correct `group` in triggerfish.toml, or create the group",
        )
        return
    described = answer["AutoScalingGroups"][0]
    yield from _notification_advice(group, clients, stack)
    yield from shape_advice(group, described)
    if group.hook is not None:
        yield from _hook_advice(group, clients)


def shape_advice(group: ProvisionGroup, described: AutoScalingGroupTypeDef) -> Iterator[Advice]:
    """What the group's own settings mean for numbers and builds. Pure."""
    where = f"group {group.group}"
    policies = described.get("TerminationPolicies", [])
    if group.mode == "elastic" and "NewestInstance" not in policies:
        yield Advice(
            severity="warning",
            where=where,
            found=f"termination policies {', '.join(policies) or 'Default'}",
            why="scaling in takes old members first, so low numbers go and gaps are the rule",
            do="put NewestInstance first in the group's termination policies",
        )
    suspended = {one["ProcessName"] for one in described.get("SuspendedProcesses", [])}
    zones = described.get("AvailabilityZones", [])
    if group.mode == "stateful" and "AZRebalance" not in suspended and len(zones) > 1:
        yield Advice(
            severity="warning",
            where=where,
            found="AZRebalance is active",
            why="it launches a server before it terminates one, which then waits for a number,"
            " and it moves members that hold data",
            do="suspend the AZRebalance process of the group",
        )
    grace_s = described.get("HealthCheckGracePeriod", 0)
    checked = described.get("HealthCheckType", "EC2") != "EC2"
    if group.hook is None and checked and grace_s < group.timeout.seconds:
        yield Advice(
            severity="warning",
            where=where,
            found=f"health check grace period {grace_s} s, timeout {group.timeout}",
            why="the group kills a server as unhealthy while Jenkins still provisions it",
            do=f"raise the grace period to {group.timeout.seconds} s, or use a launch hook",
        )
    if group.finish == "healthy" and not _target_group_count(described):
        yield Advice(
            severity="warning",
            where=where,
            found='finish = "healthy", and the group has no target group',
            why="nobody checks the servers: they're ready as soon as they are built",
            do='attach a target group, or say finish = "built"',
        )
    if group.mode == "stateful" and described["MaxSize"] > (group.size or 0):
        yield Advice(
            severity="warning",
            where=where,
            found=f"maximum size {described['MaxSize']}, size {group.size}",
            why="a server beyond the size gets no number and is never provisioned",
            do=f"lower the group's maximum size to {group.size}, or raise `size`",
        )


def _target_group_count(described: AutoScalingGroupTypeDef) -> int:
    return len(described.get("TargetGroupARNs", [])) + len(described.get("TrafficSources", []))


def _notification_advice(group: ProvisionGroup, clients: Clients, stack: str) -> Iterator[Advice]:
    where = f"group {group.group}"
    with calling("autoscaling:DescribeNotificationConfigurations", where):
        answer = clients.autoscaling.describe_notification_configurations(
            AutoScalingGroupNames=[group.group]
        )
    configured: dict[str, set[str]] = {}
    for one in answer["NotificationConfigurations"]:
        configured.setdefault(one["TopicARN"], set()).add(one["NotificationType"])
    topic = f"{stack}-provision"
    types = next((t for arn, t in configured.items() if arn.rpartition(":")[2] == topic), set())
    missing = NEEDED_NOTIFICATIONS - types
    if missing:
        yield Advice(
            severity="warning",
            where=where,
            found=f"no notification of {', '.join(sorted(missing))} to topic {topic}",
            why="launches are found by the sweep only, up to a minute late",
            do=f"aws autoscaling put-notification-configuration --auto-scaling-group-name"
            f" {group.group} --topic-arn <{topic}> --notification-types"
            f" {' '.join(sorted(missing))}",
        )


def _hook_advice(group: ProvisionGroup, clients: Clients) -> Iterator[Advice]:
    where = f"group {group.group}"
    with calling("autoscaling:DescribeLifecycleHooks", where):
        answer = clients.autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=group.group)
    hooks = {hook["LifecycleHookName"]: hook for hook in answer["LifecycleHooks"]}
    hook = hooks.get(group.hook or "")
    launching = "autoscaling:EC2_INSTANCE_LAUNCHING"
    if hook is None or hook.get("LifecycleTransition") != launching:
        yield Advice(
            severity="error",
            where=where,
            found=f"no launch hook {group.hook}; hooks: {', '.join(hooks) or 'none'}",
            why="servers go into service before they are provisioned",
            do=f"create the hook {group.hook} for {launching}, or correct `hook`",
        )


def _jenkins_advice(
    group: ProvisionGroup, parameter_names: Callable[[ProvisionGroup, str], Sequence[str]]
) -> Iterator[Advice]:
    """A job that doesn't declare REQUEST_ID drops it, and its builds can't be told apart."""
    for job in dict.fromkeys(group.jobs):
        where = f"job {job}"
        try:
            declared = parameter_names(group, job)
        except Refused as error:
            yield Advice(
                severity="error",
                where=where,
                found=error.message,
                why="its builds can't be asked for",
                do=error.hint or "correct `jobs`, or the permissions of the Jenkins user",
            )
            continue
        except Error as error:
            yield Advice(
                severity="warning",
                where=where,
                found=error.message,
                why="its parameters can't be checked from here",
                do="run this where Jenkins can be reached",
            )
            continue
        if "REQUEST_ID" not in declared:
            yield Advice(
                severity="error",
                where=where,
                found=f"parameters {', '.join(declared) or 'none'}",
                why="without REQUEST_ID a build can't be found after a crash, and two servers'"
                " equal requests are merged into one build",
                do="declare the string parameter REQUEST_ID in the job",
            )


def _zone_advice(zone: str, clients: Clients) -> Iterator[Advice]:
    with calling("route53:ListHostedZonesByName", f"zone {zone}"):
        zones = clients.route53.list_hosted_zones_by_name(DNSName=zone)["HostedZones"]
    private = [
        found
        for found in zones
        if found["Name"].rstrip(".") == zone and found.get("Config", {}).get("PrivateZone")
    ]
    if not private:
        yield Advice(
            severity="error",
            where=f"zone {zone}",
            found="no private hosted zone of that name",
            why="members get no DNS name and are never built",
            do="create the private hosted zone, or correct `zone`",
        )
        return
    with calling("route53:ListResourceRecordSets", f"zone {zone}"):
        records = clients.route53.list_resource_record_sets(
            HostedZoneId=private[0]["Id"], StartRecordName=zone, StartRecordType="SOA"
        )["ResourceRecordSets"]
    for record in records:
        if record["Type"] == "SOA":
            yield from soa_advice(zone, record)


def soa_advice(zone: str, record: Mapping[str, object]) -> Iterator[Advice]:
    """How long resolvers remember that a name doesn't exist: the SOA's minimum, or its TTL."""
    values = record.get("ResourceRecords")
    text = values[0]["Value"] if isinstance(values, list) and values else ""
    minimum = text.split()[-1] if text else ""
    ttl_s = record.get("TTL")
    if not minimum.isdecimal() or not isinstance(ttl_s, int):
        return
    remembered_s = min(int(minimum), ttl_s)
    if remembered_s > LONG_NEGATIVE_TTL_S:
        yield Advice(
            severity="warning",
            where=f"zone {zone}",
            found=f"absent names are cached for {remembered_s} s (SOA minimum {minimum}, TTL"
            f" {ttl_s})",
            why="who looks a new member's name up too early won't find it for that long",
            do=f"lower the TTL of the zone's SOA record to {LONG_NEGATIVE_TTL_S}",
        )
