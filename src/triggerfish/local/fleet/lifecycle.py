"""What happens to one member: from Pending to InService, through Standby, to Terminated.

Every function runs under the fleet's lock, changes state, sets the timer of what comes next and
says what AWS would say. Source: "Amazon EC2 Auto Scaling instance lifecycle"; hooks do not hold
instances that are attached, detached or moved in and out of Standby ("Lifecycle hooks").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.autoscaling.models import ASG_NAME_TAG
from moto.core.exceptions import ServiceException

from triggerfish.local.fleet import messages, texts
from triggerfish.local.fleet.compute import GONE_STATES, ServerInstance
from triggerfish.local.fleet.groups import Action, Member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.local.fleet.fleet import Fleet
    from triggerfish.local.fleet.groups import Group, Hook
    from triggerfish.local.fleet.messages import Activity, Event

DEAD = GONE_STATES | {"stopping", "stopped"}


def launch(fleet: Fleet, group: Group, subnet: str, cause: str) -> bool:
    """Start an instance for the group; False when EC2 would not."""
    zone = fleet.ec2.get_subnet(subnet).availability_zone
    details = {"Subnet ID": subnet, "Availability Zone": zone}
    try:
        instance = _run_instance(fleet, group, subnet)
    except ServiceException as error:
        reason = error.message
        activity = fleet.activity("", texts.launch_failed("", reason), cause, details)
        group.record(activity)
        _fail(fleet, group, activity, reason, messages.LAUNCH_ERROR)
        return False
    activity = fleet.activity(instance.id, texts.launching(instance.id), cause, details)
    group.instance_states.append(Member(instance, group, group.record(activity)))
    return True


def _run_instance(fleet: Fleet, group: Group, subnet: str) -> ServerInstance:
    failure = fleet.take_failure(fleet.state.faults.launch, group.name)
    if failure is not None:
        zone = fleet.ec2.get_subnet(subnet).availability_zone
        reason = texts.NO_CAPACITY.format(instance_type=group.instance_type, zone=zone)
        raise ServiceException("InsufficientInstanceCapacity", failure.reason or reason)
    template = group.ec2_launch_template
    reservation = fleet.ec2.run_instances(
        group.image_id,
        1,
        group.user_data,
        group.security_groups,
        instance_type=group.instance_type,
        tags={
            "instance": {
                **group.instance_tags,
                **group.get_propagated_tags(),
                ASG_NAME_TAG: group.name,
            }
        },
        launch_config=group.launch_config,
        launch_template={"LaunchTemplateId": template.id} if template else None,
        is_instance_type_default=False,
        region_name=fleet.region,
        subnet_id=subnet,
    )
    instance = reservation.instances[0]
    if not isinstance(instance, ServerInstance):
        raise TypeError("EC2 is not mended: call mending.install first")
    return instance


def booted(fleet: Fleet, group: Group, member: Member) -> None:
    if member.lifecycle_state != "Pending" or member.server.state != "running":
        return
    hooks = group.hooks_for(messages.LAUNCHING)
    if hooks:
        _hold(fleet, group, member, hooks, "Pending:Wait")
    else:
        enter_service(fleet, group, member)


def enter_service(fleet: Fleet, group: Group, member: Member) -> None:
    if member.lifecycle_state not in {"Pending", "Pending:Proceed"}:
        return
    if member.server.state in DEAD:
        noticed(fleet, group, member)
        return
    member.lifecycle_state = "InService"
    member.health_status = "Healthy"
    fleet.scaling.register(group, [member.server.id])
    member.activity.status, member.activity.progress = "InProgress", 50
    _done(fleet, group, member.activity, messages.LAUNCH)
    if group.health_check_type == "ELB":
        fleet.later(float(group.health_check_grace_period or 0), "elb-check", member.server.id)


def _hold(fleet: Fleet, group: Group, member: Member, hooks: Sequence[Hook], state: str) -> None:
    member.lifecycle_state = state
    now = fleet.seconds()
    for hook in hooks:
        action = Action(
            token=fleet.uuid(),
            hook=hook,
            deadline=now + hook.heartbeat_s,
            final_deadline=now + hook.global_s,
        )
        member.actions.append(action)
        fleet.later(hook.heartbeat_s, "hook", f"{member.server.id} {action.token}")
        fleet.publish_lifecycle(group, member.server.id, action)


def heartbeat(fleet: Fleet, action: Action) -> None:
    action.deadline = min(fleet.seconds() + action.hook.heartbeat_s, action.final_deadline)


def hook_due(fleet: Fleet, group: Group, member: Member, token: str) -> None:
    action = next((one for one in member.actions if one.token == token), None)
    if action is None:
        return
    if fleet.seconds() < action.deadline:
        fleet.later(action.deadline - fleet.seconds(), "hook", f"{member.server.id} {token}")
        return
    finish_action(
        fleet, group, member, action, (action.hook.default_result, texts.HEARTBEAT_TIMEOUT)
    )


def finish_action(
    fleet: Fleet, group: Group, member: Member, action: Action, result: tuple[str, str]
) -> None:
    """`result` is CONTINUE or ABANDON, and how it came to be."""
    member.actions.remove(action)
    verdict, why = result
    if member.lifecycle_state == "Pending:Wait":
        if verdict == "ABANDON":
            give_up(fleet, group, member, texts.ABANDONED.format(token=action.token, why=why))
        elif not member.actions:
            member.lifecycle_state = "Pending:Proceed"
            fleet.later(0, "in-service", member.server.id)
    elif member.lifecycle_state == "Terminating:Wait":
        if verdict == "ABANDON":
            member.actions.clear()
        if not member.actions:
            member.lifecycle_state = "Terminating:Proceed"
            _shut_down(fleet, member)


def give_up(fleet: Fleet, group: Group, member: Member, reason: str) -> None:
    """The launch failed though there is an instance: it goes, and another one is launched."""
    member.activity.description = texts.launch_failed(member.server.id, reason)
    _fail(fleet, group, member.activity, reason, messages.LAUNCH_ERROR)
    member.is_silent = True
    member.actions.clear()
    member.lifecycle_state = "Terminating"
    fleet.scaling.deregister(group, member.server.id)
    _shut_down(fleet, member)
    fleet.reconcile_soon(group)


def leave(fleet: Fleet, group: Group, member: Member, cause: str) -> bool:
    """Begin the end of a member; False when it could not be ended (an injected failure)."""
    if member.is_leaving:
        return True
    instance = member.server
    details = {
        "Subnet ID": instance.subnet_id or "",
        "Availability Zone": instance.availability_zone or "",
    }
    activity = fleet.activity(instance.id, texts.terminating(instance.id), cause, details)
    group.record(activity)
    failure = fleet.take_failure(fleet.state.faults.terminate, group.name)
    if failure is not None:
        reason = failure.reason or "Terminating EC2 instance failed."
        activity.description = texts.terminate_failed(instance.id, reason)
        _fail(fleet, group, activity, reason, messages.TERMINATE_ERROR)
        return False
    if member.lifecycle_state.startswith("Pending"):
        member.activity.ended_at, member.activity.outcome = fleet.now(), "Cancelled"
    member.activity = activity
    member.actions.clear()
    member.lifecycle_state = "Terminating"
    drains = fleet.scaling.deregister(group, instance.id)
    fleet.later(fleet.delays.drain_s if drains else 0, "drained", instance.id)
    return True


def drained(fleet: Fleet, group: Group, member: Member) -> None:
    if member.lifecycle_state != "Terminating" or member.is_shutting_down:
        return
    hooks = group.hooks_for(messages.TERMINATING)
    if hooks:
        # Seen so in messages of December 2024; botocore's enumeration doesn't know it.
        member.activity.status, member.activity.progress = "MidTerminatingLifecycleAction", 60
        _hold(fleet, group, member, hooks, "Terminating:Wait")
    else:
        _shut_down(fleet, member)


def _shut_down(fleet: Fleet, member: Member) -> None:
    member.is_shutting_down = True
    if member.server.state == "terminated":
        fleet.later(0, "gone", member.server.id)
    else:
        member.server.terminate()


def gone(fleet: Fleet, group: Group, member: Member) -> None:
    """EC2 says the instance is terminated; the group forgets it if that was the plan."""
    if not member.is_shutting_down:
        return
    group.remove(member)
    if member.is_silent:
        return
    _done(fleet, group, member.activity, messages.TERMINATE)
    fleet.reconcile_soon(group)


def noticed(fleet: Fleet, group: Group, member: Member, why: str = texts.EC2_DEAD) -> None:
    """The member is unhealthy: its group replaces it. Nobody checks a member in Standby."""
    if member.is_leaving or member.lifecycle_state in {"EnteringStandby", "Standby", "Detaching"}:
        return
    is_new = member.activity.ended_at is None
    member.health_status = "Unhealthy"
    if group.is_suspended("HealthCheck") or group.is_suspended("ReplaceUnhealthy"):
        return
    if is_new and member.activity.description.startswith("Launching"):
        give_up(fleet, group, member, texts.DIED_WHILE_PENDING)
    elif leave(fleet, group, member, texts.taken_out(fleet.now(), why)):
        group.replacements += 1
        fleet.reconcile_soon(group)


def _done(fleet: Fleet, group: Group, activity: Activity, event: Event) -> None:
    activity.ended_at = fleet.now()
    fleet.publish_activity(group, activity, event)


def _fail(fleet: Fleet, group: Group, activity: Activity, reason: str, event: Event) -> None:
    activity.status = activity.outcome = "Failed"
    activity.progress = 100
    activity.status_message = reason
    _done(fleet, group, activity, event)
