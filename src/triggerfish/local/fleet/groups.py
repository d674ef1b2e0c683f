"""Auto Scaling groups and what belongs to them: members, hooks, topics, activities.

moto's group launches inside the API call and knows neither hooks nor notifications. These classes
keep the data; `capacity` decides who comes and goes, `lifecycle` moves a member along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState

from triggerfish.local.fleet import texts
from triggerfish.local.fleet.balancing import BalancingBackend
from triggerfish.local.fleet.compute import ServerBackend, ServerInstance
from triggerfish.local.fleet.messages import GroupIdentity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from triggerfish.local.fleet.balancing import PooledTargetGroup
    from triggerfish.local.fleet.messages import Activity

COUNTING = frozenset({"Pending", "Pending:Wait", "Pending:Proceed", "InService"})
"""States that count towards the desired capacity."""
KEPT_ACTIVITIES = 2000


@dataclass(slots=True, kw_only=True)
class Hook:
    name: str
    transition: str
    heartbeat_s: int = 3600
    default_result: str = "ABANDON"
    target_arn: str | None = None
    role_arn: str | None = None
    metadata: str | None = None

    @property
    def global_s(self) -> int:
        """48 hours or 100 heartbeats, whichever is smaller."""
        return min(172800, 100 * self.heartbeat_s)


@dataclass(slots=True, kw_only=True)
class Action:
    """One hook holding one instance. Times are epoch seconds."""

    token: str
    hook: Hook
    deadline: float
    final_deadline: float


class Member(InstanceState):
    """An instance in a group. `activity` is the one that brought it to where it is."""

    def __init__(self, instance: ServerInstance, group: Group, activity: Activity) -> None:
        instance.autoscaling_group = group  # type: ignore[attr-defined]
        super().__init__(
            instance,
            lifecycle_state="Pending",
            protected_from_scale_in=group.new_instances_protected_from_scale_in,
            autoscaling_group=group,
        )
        self.server = instance
        self.activity = activity
        self.actions: list[Action] = []
        self.is_shutting_down = False
        self.is_silent = False
        """Its end was told already (a launch that failed): no TERMINATE follows."""

    @property
    def counts(self) -> bool:
        return self.lifecycle_state in COUNTING

    @property
    def is_leaving(self) -> bool:
        return self.lifecycle_state.startswith("Terminating")


class GroupWatcher(Protocol):
    """What a group asks the fleet."""

    def now(self) -> datetime: ...
    def reconcile_soon(self, group: Group) -> None: ...


class Group(FakeAutoScalingGroup):
    watcher: ClassVar[GroupWatcher]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.topics: dict[str, list[str]] = {}
        self.hooks: dict[str, Hook] = {}
        self.activities: list[Activity] = []
        self.replacements = 0
        """Launches to come that replace an unhealthy member."""
        self.capacity_cause = ""
        """Who changed the desired capacity: opens the cause of what follows from it."""
        self.growth_cause: str | None = None
        self.retry_at = 0.0
        """After a launch or a termination failed: nothing more is tried before then."""
        super().__init__(*args, **kwargs)

    @property
    def members(self) -> list[Member]:
        return [one for one in self.instance_states if isinstance(one, Member)]

    @property
    def identity(self) -> GroupIdentity:
        return GroupIdentity(name=self.name, arn=self.arn, account=self.account_id)

    @property
    def desired(self) -> int:
        return self.desired_capacity or 0

    def member(self, instance: str) -> Member | None:
        return next((one for one in self.members if one.server.id == instance), None)

    def remove(self, member: Member) -> None:
        self.instance_states = [one for one in self.instance_states if one is not member]

    def record(self, activity: Activity) -> Activity:
        self.activities.append(activity)
        del self.activities[:-KEPT_ACTIVITIES]
        return activity

    def is_suspended(self, process: str) -> bool:
        return any(one["ProcessName"] == process for one in self.suspended_processes)

    def hooks_for(self, transition: str) -> list[Hook]:
        return [hook for hook in self.hooks.values() if hook.transition == transition]

    def set_desired_capacity(self, new_capacity: int | None) -> None:
        """Moto's own entry, also from its constructor and its policies."""
        self.desired_capacity = self.min_size if new_capacity is None else new_capacity
        self.growth_cause = None
        self.watcher.reconcile_soon(self)

    def change_capacity(self, desired: int, cause: str) -> None:
        if desired != self.desired:
            self.capacity_cause = cause
        self.set_desired_capacity(desired)

    def settle(self) -> None:
        """The group has what it wants: what comes next has another cause."""
        self.capacity_cause = ""
        self.growth_cause = None
        self.replacements = 0

    def update(  # noqa: PLR0913, PLR0917 - moto's signature
        self,
        availability_zones: list[str],
        desired_capacity: int | None,
        max_size: int | None,
        min_size: int | None,
        launch_config_name: str,
        launch_template: dict[str, Any],
        vpc_zone_identifier: str,
        health_check_period: int,
        health_check_type: str,
        new_instances_protected_from_scale_in: bool | None = None,  # noqa: FBT001
        mixed_instances_policy: dict[str, Any] | None = None,
    ) -> None:
        """Moto compares bounds with the number of instances; AWS with the desired capacity."""
        before = self.desired
        low = self.min_size or 0 if min_size is None else min_size
        high = self.max_size or 0 if max_size is None else max_size
        desired = min(max(before, low), high) if desired_capacity is None else desired_capacity
        require_bounds(desired, low, high)
        if desired != before:
            self.capacity_cause = texts.constraints_updated(
                self.watcher.now(), minimum=low, maximum=high, desired=desired, before=before
            )
        super().update(
            availability_zones,
            desired,
            max_size,
            min_size,
            launch_config_name,
            launch_template,
            vpc_zone_identifier,
            health_check_period,
            health_check_type,
            new_instances_protected_from_scale_in,
            mixed_instances_policy or self.mixed_instances_policy,
        )


def require_bounds(desired: int, low: int, high: int) -> None:
    if not low <= desired <= high:
        raise ValidationError(
            f"Desired capacity:{desired} must be between the specified min size:{low} and max "
            f"size:{high}"
        )


class ScalingBackend(AutoScalingBackend):
    watcher: ClassVar[GroupWatcher]

    @property
    def groups(self) -> list[Group]:
        return [one for one in self.autoscaling_groups.values() if isinstance(one, Group)]

    def group(self, name: str) -> Group:
        group = self.autoscaling_groups.get(name)
        if not isinstance(group, Group):
            raise ValidationError(
                f"AutoScalingGroup name not found - AutoScalingGroup {name} not found"
            )
        return group

    def find(self, instance: str) -> tuple[Group, Member] | None:
        server = self.servers.servers.get(instance)
        group = getattr(server, "autoscaling_group", None)
        member = group.member(instance) if isinstance(group, Group) else None
        return (group, member) if isinstance(group, Group) and member else None

    def owner(self, instance: str) -> tuple[Group, Member]:
        found = self.find(instance)
        if found is None:
            raise ValidationError(
                f"Instance Id not found - No managed instance found for instance ID {instance}"
            )
        return found

    @property
    def servers(self) -> ServerBackend:
        if not isinstance(self.ec2_backend, ServerBackend):
            raise TypeError("the EC2 backend is not mended: call mending.install first")
        return self.ec2_backend

    def pools(self, group: Group) -> list[PooledTargetGroup]:
        if not isinstance(self.elbv2_backend, BalancingBackend):
            raise TypeError("the ELBv2 backend is not mended: call mending.install first")
        return self.elbv2_backend.pools(group.target_group_arns)

    def create_auto_scaling_group(self, name: str, *args: Any, **kwargs: Any) -> Group:
        if name in self.autoscaling_groups:
            raise AutoscalingClientError(
                "AlreadyExists",
                "AutoScalingGroup by this name already exists - A group with the name "
                f"{name} already exists",
            )
        low, high = int(kwargs["min_size"]), int(kwargs["max_size"])
        desired = low if kwargs["desired_capacity"] is None else int(kwargs["desired_capacity"])
        require_bounds(desired, low, high)
        super().create_auto_scaling_group(name, *args, **kwargs)
        group = self.group(name)
        # AWS: 0 through the API; 300 is the console's default.
        group.health_check_grace_period = int(kwargs.get("health_check_period") or 0)
        group.capacity_cause = texts.group_created(self.watcher.now(), desired)
        return group

    def update_attached_target_groups(self, group_name: str) -> None:
        group = self.group(group_name)
        serving = [one.server.id for one in group.members if one.lifecycle_state == "InService"]
        self.register(group, serving)

    def register(self, group: Group, instances: Sequence[str]) -> None:
        if not group.is_suspended("AddToLoadBalancer"):
            for pool in self.pools(group):
                pool.register([{"Id": name, "Port": pool.port} for name in instances])

    def deregister(self, group: Group, instance: str) -> bool:
        """Whether a load balancer now drains it."""
        released = [pool.release([instance]) for pool in self.pools(group)]
        return any(released)

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """Not the API's business: a group finds out by itself (`lifecycle.noticed`)."""
