"""The Auto Scaling actions moto lacks or gets wrong, and AWS's own words when one is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar, TypeVar

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from triggerfish.local.fleet import lifecycle, messages, moves, texts
from triggerfish.local.fleet.groups import Group, Hook, Member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.local.fleet.fleet import Fleet
    from triggerfish.local.fleet.groups import Action, ScalingBackend
    from triggerfish.local.fleet.messages import Activity

T = TypeVar("T")

MOST_TOPICS = 10
MOST_HOOKS = 50
SNS_ARN = "arn:aws:sns:"


def activity_result(group: Group, activity: Activity) -> dict[str, object]:
    """As the API shows it: `Details` is a JSON string here, and an ended activity is at 100 %."""
    is_over = activity.ended_at is not None
    result: dict[str, object] = {
        "ActivityId": activity.id,
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.started_at,
        "StatusCode": activity.outcome if is_over else activity.status,
        "Progress": 100 if is_over else activity.progress,
        "Details": json.dumps(dict(activity.details)),
    }
    if activity.ended_at is not None:
        result["EndTime"] = activity.ended_at
    if activity.status_message:
        result["StatusMessage"] = activity.status_message
    return result


class ScalingResponse(AutoScalingResponse):
    fleet: ClassVar[Fleet]

    def _authenticate_and_authorize_normal_action(self, resource: str = "*") -> None:
        """Nobody is refused here; moto would import all of IAM to find that out."""

    @property
    def _scaling(self) -> ScalingBackend:
        return self.fleet.scaling

    def _group(self) -> Group:
        return self._scaling.group(self._get_param("AutoScalingGroupName"))

    def _instances(self) -> list[str]:
        return list(self._get_param("InstanceIds", []))

    def _page(self, everything: Sequence[T], limit: int) -> tuple[list[T], str | None]:
        start = int(self._get_param("NextToken") or 0)
        end = start + min(self._get_int_param("MaxRecords", limit), limit)
        return list(everything[start:end]), str(end) if end < len(everything) else None

    # Notifications.

    def put_notification_configuration(self) -> ActionResult:
        group = self._group()
        topic = self._get_param("TopicARN")
        types = list(self._get_param("NotificationTypes", []))
        for one in types:
            if one not in messages.NOTIFICATION_TYPES:
                raise ValidationError(f'"{one}" is not a valid Notification Type.')
        if topic not in group.topics and len(group.topics) >= MOST_TOPICS:
            raise AutoscalingClientError(
                "LimitExceeded", f"You may have at most {MOST_TOPICS} SNS topics per group."
            )
        group.topics[topic] = types
        self.fleet.publish_test(group, topic)
        return EmptyResult()

    def describe_notification_configurations(self) -> ActionResult:
        names = self._get_param("AutoScalingGroupNames", [])
        found = [
            {"AutoScalingGroupName": group.name, "TopicARN": topic, "NotificationType": one}
            for group in self._scaling.groups
            if not names or group.name in names
            for topic, types in group.topics.items()
            for one in types
        ]
        page, token = self._page(found, 100)
        return ActionResult({"NotificationConfigurations": page, "NextToken": token})

    def delete_notification_configuration(self) -> ActionResult:
        self._group().topics.pop(self._get_param("TopicARN"), None)
        return EmptyResult()

    def describe_auto_scaling_notification_types(self) -> ActionResult:
        return ActionResult({"AutoScalingNotificationTypes": list(messages.NOTIFICATION_TYPES)})

    # Lifecycle hooks.

    def put_lifecycle_hook(self) -> ActionResult:
        group = self._group()
        name = self._get_param("LifecycleHookName")
        hook = group.hooks.get(name)
        if hook is None:
            transition = self._get_param("LifecycleTransition")
            if transition not in {messages.LAUNCHING, messages.TERMINATING}:
                raise ValidationError(
                    "Invalid Lifecycle Transition specified. Lifecycle Transition must be one of: "
                    f"{messages.LAUNCHING}, {messages.TERMINATING}"
                )
            if len(group.hooks) >= MOST_HOOKS:
                raise AutoscalingClientError(
                    "LimitExceeded", f"You may have at most {MOST_HOOKS} lifecycle hooks per group."
                )
            hook = Hook(name=name, transition=transition)
        had_target = hook.target_arn
        self._change_hook(hook)
        group.hooks[name] = hook
        if hook.target_arn is not None and hook.target_arn != had_target:
            self.fleet.publish_test(group, hook.target_arn)
        return EmptyResult()

    def _change_hook(self, hook: Hook) -> None:
        """What the call leaves out stays as it was; an empty target takes the target away."""
        hook.transition = self._get_param("LifecycleTransition") or hook.transition
        heartbeat_s = self._get_int_param("HeartbeatTimeout")
        if heartbeat_s is not None:
            hook.heartbeat_s = heartbeat_s
        result = self._get_param("DefaultResult") or hook.default_result
        if result not in {"CONTINUE", "ABANDON"}:
            raise ValidationError("Invalid default result. It must be CONTINUE or ABANDON")
        hook.default_result = result
        hook.role_arn = self._get_param("RoleARN") or hook.role_arn
        hook.metadata = self._get_param("NotificationMetadata") or hook.metadata
        target = self._get_param("NotificationTargetARN")
        if target:
            if not target.startswith(SNS_ARN):
                raise ValidationError(
                    f"Unable to publish test message to notification target {target} using IAM "
                    f"role {hook.role_arn}. Please check your target and role configuration and "
                    "try to put lifecycle hook again. (this fleet publishes to SNS topics only)"
                )
            hook.target_arn = target
        elif target is not None:
            hook.target_arn = None

    def describe_lifecycle_hooks(self) -> ActionResult:
        names = self._get_param("LifecycleHookNames", [])
        hooks = [one for one in self._group().hooks.values() if not names or one.name in names]
        return ActionResult({"LifecycleHooks": [self._hook_result(hook) for hook in hooks]})

    def _hook_result(self, hook: Hook) -> dict[str, object]:
        optional = {
            "NotificationTargetARN": hook.target_arn,
            "RoleARN": hook.role_arn,
            "NotificationMetadata": hook.metadata,
        }
        return {
            "LifecycleHookName": hook.name,
            "AutoScalingGroupName": self._get_param("AutoScalingGroupName"),
            "LifecycleTransition": hook.transition,
            "HeartbeatTimeout": hook.heartbeat_s,
            "GlobalTimeout": hook.global_s,
            "DefaultResult": hook.default_result,
            **{name: value for name, value in optional.items() if value is not None},
        }

    def describe_lifecycle_hook_types(self) -> ActionResult:
        return ActionResult({"LifecycleHookTypes": [messages.LAUNCHING, messages.TERMINATING]})

    def delete_lifecycle_hook(self) -> ActionResult:
        """Instances it holds go on at once, as after the default result."""
        group = self._group()
        hook = group.hooks.pop(self._get_param("LifecycleHookName"), None)
        if hook is None:
            return EmptyResult()
        for member in group.members:
            for action in [one for one in member.actions if one.hook.name == hook.name]:
                result = hook.default_result, texts.HEARTBEAT_TIMEOUT
                lifecycle.finish_action(self.fleet, group, member, action, result)
        return EmptyResult()

    def _held(self, group: Group) -> tuple[Member, Action]:
        """The action a call means: by token, or else by instance."""
        hook = self._get_param("LifecycleHookName")
        token = self._get_param("LifecycleActionToken")
        instance = self._get_param("InstanceId")
        if not token and not instance:
            raise ValidationError("Either a lifecycle action token or an instance ID is required.")
        for member in group.members:
            for action in member.actions:
                is_meant = action.token == token if token else member.server.id == instance
                if is_meant and action.hook.name == hook:
                    return member, action
        which = f"token {token}" if token else f"instance ID {instance}"
        raise ValidationError(f"No active Lifecycle Action found with {which}")

    def complete_lifecycle_action(self) -> ActionResult:
        group = self._group()
        verdict = self._get_param("LifecycleActionResult")
        if verdict not in {"CONTINUE", "ABANDON"}:
            raise ValidationError(
                f"Lifecycle Action Result {verdict} is invalid. It must be CONTINUE or ABANDON"
            )
        member, action = self._held(group)
        result = verdict, texts.COMPLETED_WITH_ABANDON
        lifecycle.finish_action(self.fleet, group, member, action, result)
        return EmptyResult()

    def record_lifecycle_action_heartbeat(self) -> ActionResult:
        _, action = self._held(self._group())
        lifecycle.heartbeat(self.fleet, action)
        return EmptyResult()

    # Members.

    def enter_standby(self) -> ActionResult:
        group = self._group()
        decrement = self._get_bool_param("ShouldDecrementDesiredCapacity", False)
        done = moves.enter_standby(self.fleet, group, self._instances(), decrement=decrement)
        return ActionResult({"Activities": [activity_result(group, one) for one in done]})

    def exit_standby(self) -> ActionResult:
        group = self._group()
        done = moves.exit_standby(self.fleet, group, self._instances())
        return ActionResult({"Activities": [activity_result(group, one) for one in done]})

    def attach_instances(self) -> ActionResult:
        moves.attach(self.fleet, self._group(), self._instances())
        return EmptyResult()

    def detach_instances(self) -> ActionResult:
        group = self._group()
        decrement = self._get_bool_param("ShouldDecrementDesiredCapacity", False)
        done = moves.detach(self.fleet, group, self._instances(), decrement=decrement)
        return ActionResult({"Activities": [activity_result(group, one) for one in done]})

    def terminate_instance_in_auto_scaling_group(self) -> ActionResult:
        group, member = self._scaling.owner(self._get_param("InstanceId"))
        decrement = self._get_bool_param("ShouldDecrementDesiredCapacity", False)
        activity = moves.terminate(self.fleet, group, member, decrement=decrement)
        return ActionResult({"Activity": activity_result(group, activity)})

    def set_instance_health(self) -> ActionResult:
        group, member = self._scaling.owner(self._get_param("InstanceId"))
        status = self._get_param("HealthStatus")
        if status == "Unhealthy":
            lifecycle.noticed(self.fleet, group, member, texts.USER_SAYS_UNHEALTHY)
        elif status == "Healthy":
            member.health_status = "Healthy"
        else:
            raise ValidationError("Valid instance health states are: [Healthy, Unhealthy].")
        return EmptyResult()

    def describe_auto_scaling_instances(self) -> ActionResult:
        """Unknown ids are left out without a word; at most 50 a page."""
        wanted = set(self._instances())
        members = [
            member
            for group in self._scaling.groups
            for member in group.members
            if not wanted or member.server.id in wanted
        ]
        page, token = self._page(members, 50)
        return ActionResult({"AutoScalingInstances": page, "NextToken": token})

    def describe_scaling_activities(self) -> ActionResult:
        """Newest first; at most 100 a page."""
        name = self._get_param("AutoScalingGroupName")
        groups = [self._scaling.group(name)] if name else self._scaling.groups
        wanted = set(self._get_param("ActivityIds", []))
        found = [
            (group, activity)
            for group in groups
            for activity in reversed(group.activities)
            if not wanted or activity.id in wanted
        ]
        page, token = self._page(found, 100)
        results = [activity_result(*one) for one in page]
        return ActionResult({"Activities": results, "NextToken": token})

    # The group.

    def set_desired_capacity(self) -> ActionResult:
        group = self._group()
        desired = self._get_int_param("DesiredCapacity")
        low, high = group.min_size or 0, group.max_size or 0
        if desired > high:
            raise ValidationError(
                f"New SetDesiredCapacity value {desired} is above max value {high} for the "
                "AutoScalingGroup."
            )
        if desired < low:
            raise ValidationError(
                f"New SetDesiredCapacity value {desired} is below min value {low} for the "
                "AutoScalingGroup."
            )
        cause = texts.capacity_set(self.fleet.now(), group.desired, desired)
        group.change_capacity(desired, cause)
        return EmptyResult()

    def update_auto_scaling_group(self) -> ActionResult:
        """Moto leaves these settings as they were."""
        group = self._group()
        result = super().update_auto_scaling_group()
        group.termination_policies = (
            self._get_param("TerminationPolicies", []) or group.termination_policies
        )
        group.default_cooldown = self._get_int_param("DefaultCooldown", group.default_cooldown)
        return result

    def delete_auto_scaling_group(self) -> ActionResult:
        group = self._group()
        force = self._get_bool_param("ForceDelete", False)
        if group.instance_states and not force:
            raise AutoscalingClientError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot "
                "instance request(s) still in the group.",
            )
        for member in group.members:
            self._scaling.deregister(group, member.server.id)
            member.server.terminate()
        group.instance_states = []
        del self._scaling.autoscaling_groups[group.name]
        return EmptyResult()

    def resume_processes(self) -> ActionResult:
        result = super().resume_processes()
        group = self._group()
        for member in group.members:
            if member.server.state in lifecycle.DEAD or member.health_status == "Unhealthy":
                lifecycle.noticed(self.fleet, group, member)
        self.fleet.reconcile_soon(group)
        return result
