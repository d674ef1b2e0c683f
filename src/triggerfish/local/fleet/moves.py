"""What a person asks of members: standby and back, attach, detach, terminate.

No hook holds any of these but a termination. Leaving Standby and attaching end as a LAUNCH message;
entering Standby and detaching send none over SNS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.autoscaling.exceptions import InvalidInstanceError, ValidationError
from moto.autoscaling.models import ASG_NAME_TAG

from triggerfish.local.fleet import lifecycle, texts
from triggerfish.local.fleet.groups import Member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.local.fleet.fleet import Fleet
    from triggerfish.local.fleet.groups import Group
    from triggerfish.local.fleet.messages import Activity

MOST_AT_ONCE = 20


def _require_few(instances: Sequence[str]) -> None:
    if len(instances) > MOST_AT_ONCE:
        raise ValidationError(
            f"The number of instances in one request can't be over {MOST_AT_ONCE}."
        )


def _members(group: Group, instances: Sequence[str], state: str) -> list[Member]:
    _require_few(instances)
    found: list[Member] = []
    for instance in instances:
        member = group.member(instance)
        if member is None:
            raise ValidationError(
                f"The instance {instance} is not part of Auto Scaling group {group.name}."
            )
        if member.lifecycle_state != state:
            raise ValidationError(f"The instance {instance} is not in {state}.")
        found.append(member)
    return found


def _lower(group: Group, count: int) -> tuple[int, int]:
    before = group.desired
    if before - count < (group.min_size or 0):
        raise ValidationError(
            f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance "
            "without replacement will violate group's min size constraint. Either set "
            "shouldDecrementDesiredCapacity flag to false or lower group's min size."
        )
    group.desired_capacity = before - count
    return before, before - count


def _raise(group: Group, count: int) -> None:
    if group.desired + count > (group.max_size or 0):
        raise ValidationError(
            f"New SetDesiredCapacity value {group.desired + count} is above max value "
            f"{group.max_size} for the AutoScalingGroup."
        )


def _details(member: Member) -> dict[str, str]:
    return {
        "Subnet ID": member.server.subnet_id or "",
        "Availability Zone": member.server.availability_zone or "",
    }


def enter_standby(
    fleet: Fleet, group: Group, instances: Sequence[str], *, decrement: bool
) -> list[Activity]:
    members = _members(group, instances, "InService")
    change = _lower(group, len(members)) if decrement else None
    activities = []
    for member in members:
        name = member.server.id
        cause = texts.by_user(fleet.now(), name, "moved to standby", change)
        activity = fleet.activity(name, texts.entering_standby(name), cause, _details(member))
        member.activity = group.record(activity)
        member.lifecycle_state = "EnteringStandby"
        fleet.scaling.deregister(group, name)
        fleet.later(fleet.delays.standby_s, "standby", name)
        activities.append(activity)
    fleet.reconcile_soon(group)
    return activities


def reached_standby(fleet: Fleet, member: Member) -> None:
    if member.lifecycle_state == "EnteringStandby":
        member.lifecycle_state = "Standby"
        member.activity.ended_at = fleet.now()


def exit_standby(fleet: Fleet, group: Group, instances: Sequence[str]) -> list[Activity]:
    members = _members(group, instances, "Standby")
    _raise(group, len(members))
    activities = []
    for member in members:
        name, before = member.server.id, group.desired
        cause = texts.left_standby(fleet.now(), name, before, before + 1)
        activity = fleet.activity(name, texts.leaving_standby(name), cause, _details(member))
        activity.status, activity.progress = "PreInService", 30
        member.activity = group.record(activity)
        member.lifecycle_state = "Pending"
        group.desired_capacity = before + 1
        fleet.later(fleet.delays.standby_s, "in-service", name)
        activities.append(activity)
    return activities


def attach(fleet: Fleet, group: Group, instances: Sequence[str]) -> None:
    _require_few(instances)
    servers = []
    for instance in instances:
        server = fleet.ec2.servers.get(instance)
        if server is None:
            raise InvalidInstanceError(instance)
        servers.append(server)
        if server.state != "running":
            raise ValidationError(
                f"Instance {instance} is not in correct state. Instance(s) must be in 'running' "
                "state."
            )
        found = fleet.scaling.find(instance)
        if found is not None:
            raise ValidationError(
                f"Instance {instance} is already part of AutoScalingGroup:{found[0].name}"
            )
    _raise(group, len(servers))
    group.desired_capacity = group.desired + len(servers)
    for server in servers:
        # Messages of attached instances have no "Subnet ID".
        details = {"Availability Zone": server.availability_zone or ""}
        cause = texts.attached(fleet.now(), group.desired)
        activity = fleet.activity(server.id, texts.attaching(server.id), cause, details)
        fleet.ec2.create_tags([server.id], {ASG_NAME_TAG: group.name})
        group.instance_states.append(Member(server, group, group.record(activity)))
        fleet.later(fleet.delays.standby_s, "in-service", server.id)


def detach(
    fleet: Fleet, group: Group, instances: Sequence[str], *, decrement: bool
) -> list[Activity]:
    for instance in instances:
        member = group.member(instance)
        _members(group, [instance], "Standby" if _is_standby(member) else "InService")
    members = [one for one in group.members if one.server.id in set(instances)]
    counted = sum(one.counts for one in members)
    change = _lower(group, counted) if decrement and counted else None
    activities = []
    for member in members:
        name = member.server.id
        cause = texts.by_user(fleet.now(), name, "detached", change)
        activity = fleet.activity(name, texts.detaching(name), cause, _details(member))
        member.activity = group.record(activity)
        member.lifecycle_state = "Detaching"
        fleet.scaling.deregister(group, name)
        fleet.later(fleet.delays.standby_s, "detached", name)
        activities.append(activity)
    fleet.reconcile_soon(group)
    return activities


def _is_standby(member: Member | None) -> bool:
    return member is not None and member.lifecycle_state == "Standby"


def detached(fleet: Fleet, group: Group, member: Member) -> None:
    if member.lifecycle_state != "Detaching":
        return
    group.remove(member)
    member.activity.ended_at = fleet.now()
    fleet.ec2.delete_tags([member.server.id], {ASG_NAME_TAG: group.name})


def terminate(fleet: Fleet, group: Group, member: Member, *, decrement: bool) -> Activity:
    if member.is_leaving:
        return member.activity
    name = member.server.id
    change = _lower(group, 1) if decrement and member.counts else None
    cause = texts.by_user(fleet.now(), name, "taken out of service", change)
    lifecycle.leave(fleet, group, member, cause)
    fleet.reconcile_soon(group)
    return group.activities[-1]
