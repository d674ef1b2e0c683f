"""Keeps a group at its desired capacity: who is launched where, and who has to go.

Source: "Amazon EC2 Auto Scaling instance distribution" (the zone with fewest instances is filled
first) and "Termination policies" (zones are balanced before any policy is looked at).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from triggerfish.local.fleet import lifecycle, texts

if TYPE_CHECKING:
    from triggerfish.local.fleet.fleet import Fleet
    from triggerfish.local.fleet.groups import Group, Member

BATCH = 40
"""Launches under one hold of the fleet's lock, so that a burst doesn't stop the API."""


def reconcile(fleet: Fleet, group: Group) -> None:
    if fleet.seconds() < group.retry_at:
        return
    counting = [member for member in group.members if member.counts]
    missing = group.desired - len(counting)
    if missing > 0 and not group.is_suspended("Launch"):
        _grow(fleet, group, counting, missing)
    elif missing < 0 and not group.is_suspended("Terminate"):
        _shrink(fleet, group, counting, -missing)
    elif missing == 0:
        group.settle()


def _grow(fleet: Fleet, group: Group, counting: list[Member], missing: int) -> None:
    now = fleet.now()
    zones = Counter(member.server.subnet_id for member in counting)
    subnets = _subnets(fleet, group)
    for _ in range(min(missing, BATCH)):
        subnet = min(subnets, key=lambda name: zones[name])
        if group.replacements:
            group.replacements -= 1
            cause = texts.replacing(now)
        else:
            if group.growth_cause is None:
                before = group.desired - missing
                growth = texts.started(now, before, group.desired)
                group.growth_cause = texts.clauses(group.capacity_cause, growth)
            cause = group.growth_cause
        if not lifecycle.launch(fleet, group, subnet, cause):
            _retry_later(fleet, group)
            return
        zones[subnet] += 1
    if missing > BATCH:
        fleet.later(0, "reconcile", group.name)
    else:
        group.settle()


def _subnets(fleet: Fleet, group: Group) -> list[str]:
    """A group that names zones only uses the default subnet of each."""
    if group.vpc_zone_identifier:
        return group.vpc_zone_identifier.split(",")
    defaults = fleet.ec2.get_default_subnets()
    return [defaults[zone].id for zone in group.availability_zones]


def _shrink(fleet: Fleet, group: Group, counting: list[Member], surplus: int) -> None:
    now = fleet.now()
    text = texts.clauses(
        group.capacity_cause, texts.shrinking(now, group.desired + surplus, group.desired)
    )
    for member in chosen_to_go(counting, group.termination_policies, surplus):
        cause = texts.clauses(text, texts.selected(now, member.server.id))
        if not lifecycle.leave(fleet, group, member, cause):
            _retry_later(fleet, group)
            return
    group.settle()


def _retry_later(fleet: Fleet, group: Group) -> None:
    group.retry_at = fleet.seconds() + fleet.delays.retry_s
    fleet.later(fleet.delays.retry_s, "reconcile", group.name)


def chosen_to_go(members: list[Member], policies: list[str], count: int) -> list[Member]:
    """From the fullest zone first; there by policy: the newest, or else the oldest."""
    newest = next((one for one in policies if one != "Default"), "") == "NewestInstance"
    left = [one for one in members if not one.protected_from_scale_in]
    ages = {one.server.id: position for position, one in enumerate(members)}
    chosen: list[Member] = []
    while left and len(chosen) < count:
        zones = Counter(one.availability_zone or "" for one in left)
        fullest = max(zones, key=lambda zone: (zones[zone], zone))
        candidates = [one for one in left if one.availability_zone == fullest]
        going = max if newest else min
        victim = going(candidates, key=lambda one: ages[one.server.id])
        chosen.append(victim)
        left.remove(victim)
    return chosen
