"""The fleet: one lock, one clock, one state, and what its parts ask of each other.

moto's backends are found through moto's own registries, so the API and this class see the same
resources. Whoever calls anything here holds `lock`; `changed` is called once for each API call and
each batch of timers, and names the snapshot that will hold them.
"""

from __future__ import annotations

import random
import threading
import uuid
from typing import TYPE_CHECKING

from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends

from triggerfish.local.fleet import capacity, lifecycle, messages, moves, outbox, texts
from triggerfish.local.fleet.balancing import BalancingBackend
from triggerfish.local.fleet.compute import ServerBackend, ServerInstance
from triggerfish.local.fleet.groups import Group, ScalingBackend
from triggerfish.local.fleet.messages import Activity, LifecycleNotice, Message
from triggerfish.local.fleet.state import Delays, Failure, FleetState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from triggerfish.local.fleet.groups import Action, Member
    from triggerfish.local.fleet.messages import Event
    from triggerfish.local.fleet.timers import Kind
    from triggerfish.types import Clock


class Fleet:
    def __init__(
        self, *, account: str, region: str, clock: Clock, delays: Delays, seed: int | None = None
    ) -> None:
        self.account = account
        self.region = region
        self.delays = delays
        self.lock = threading.RLock()
        self.woken = threading.Condition(self.lock)
        self.state = FleetState()
        self.version = 0
        self.random = random.Random(seed)  # noqa: S311 - chooses faults, not secrets
        self._clock = clock

    # What moto keeps for us.

    @property
    def ec2(self) -> ServerBackend:
        backend = ec2_backends[self.account][self.region]
        if not isinstance(backend, ServerBackend):
            raise TypeError("the EC2 backend is not mended: call mending.install first")
        return backend

    @property
    def scaling(self) -> ScalingBackend:
        backend = autoscaling_backends[self.account][self.region]
        if not isinstance(backend, ScalingBackend):
            raise TypeError("the Auto Scaling backend is not mended: call mending.install first")
        return backend

    @property
    def balancing(self) -> BalancingBackend:
        backend = elbv2_backends[self.account][self.region]
        if not isinstance(backend, BalancingBackend):
            raise TypeError("the ELBv2 backend is not mended: call mending.install first")
        return backend

    # Time.

    def now(self) -> datetime:
        return self._clock.now()

    def seconds(self) -> float:
        return self._clock.now().timestamp()

    def later(self, delay_s: float, kind: Kind, key: str) -> None:
        self.state.timers.add(self.seconds() + delay_s, kind, key)

    def reconcile_soon(self, group: Group) -> None:
        self.later(0, "reconcile", group.name)

    def changed(self) -> int:
        """Close one change: it is durable once the snapshot of the returned version is on disk."""
        self.version += 1
        self.woken.notify_all()
        return self.version

    def run_due(self, most: int = 64) -> int:
        """Carry out up to `most` timers that are due; how many were."""
        now = self.seconds()
        for done in range(most):
            due = self.state.timers.pop_due(now)
            if due is None:
                return done
            self._carry_out(*due)
        return most

    def _carry_out(self, kind: Kind, key: str) -> None:
        if kind == "reconcile":
            group = self.scaling.autoscaling_groups.get(key)
            if isinstance(group, Group):
                capacity.reconcile(self, group)
            return
        instance_id, _, token = key.partition(" ")
        server = self.ec2.servers.get(instance_id)
        if server is None:
            return
        if kind == "running":
            server.boot()
        elif kind == "gone":
            if server.finish_terminating():
                self.later(self.delays.remember_s, "forgotten", instance_id)
        elif kind == "forgotten":
            self.ec2.forget(instance_id)
            self.state.provisioned_at.pop(instance_id, None)
        found = self.scaling.find(instance_id)
        if found is not None:
            self._move(kind, *found, token)

    def _move(self, kind: Kind, group: Group, member: Member, token: str) -> None:  # noqa: C901 - one case a kind
        match kind:
            case "running":
                lifecycle.booted(self, group, member)
            case "gone":
                lifecycle.gone(self, group, member)
            case "noticed":
                if member.server.state in lifecycle.DEAD:
                    lifecycle.noticed(self, group, member)
            case "in-service":
                lifecycle.enter_service(self, group, member)
            case "standby":
                moves.reached_standby(self, member)
            case "detached":
                moves.detached(self, group, member)
            case "drained":
                lifecycle.drained(self, group, member)
            case "hook":
                lifecycle.hook_due(self, group, member, token)
            case "elb-check":
                self.check_targets(group, member)
            case "forgotten" | "reconcile":
                pass

    def check_targets(self, group: Group, member: Member) -> None:
        """ELB health checks of a group: past the grace period, an unhealthy member is replaced."""
        if group.health_check_type != "ELB":
            return
        name = member.server.id
        states = {pool.health(name)[0] for pool in self.scaling.pools(group)}
        if member.lifecycle_state == "InService" and "unhealthy" in states:
            lifecycle.noticed(self, group, member, texts.ELB_FAILED)

    # What EC2 and the load balancer tell and ask.

    def instance_created(self, instance: ServerInstance) -> None:
        instance.created_at = self.seconds()
        self.later(self.delays.boot_s, "running", instance.id)

    def instance_stopping(self, instance: ServerInstance) -> None:
        if instance.state == "shutting-down":
            self.later(self.delays.shutdown_s, "gone", instance.id)
        for pool in self.balancing.pools(list(self.balancing.target_groups)):
            if instance.state == "shutting-down":
                pool.release([instance.id])
        self.later(self.delays.notice_s, "noticed", instance.id)

    def is_visible(self, instance: ServerInstance) -> bool:
        lag = self.state.faults.describe_lag_s
        return not lag or self.seconds() >= instance.created_at + lag

    def provisioned_at(self, instance: str) -> float | None:
        return self.state.provisioned_at.get(instance)

    def health_delays(self) -> tuple[float, float]:
        return self.delays.health_s, self.delays.drain_s

    # What is said about it.

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def activity(
        self, instance: str, description: str, cause: str, details: Mapping[str, str]
    ) -> Activity:
        return Activity(
            id=self.uuid(),
            instance=instance,
            description=description,
            cause=cause,
            started_at=self.now(),
            details=details,
        )

    def take_failure(self, failures: dict[str, Failure], group: str) -> Failure | None:
        failure = failures.get(group)
        if failure is None:
            return None
        failure.count -= 1
        if failure.count <= 0:
            del failures[group]
        return failure

    def publish_activity(self, group: Group, activity: Activity, event: Event) -> None:
        body = messages.activity_body(group.identity, activity, event, self.now())
        subject = messages.subject(event, group.name)
        sent = [
            Message(topic_arn=topic, subject=subject, body=body)
            for topic, types in group.topics.items()
            if event in types
        ]
        if event == messages.LAUNCH and sent:
            self.state.last_launch[group.name] = tuple(sent)
        for message in sent:
            outbox.enqueue(self, message)

    def publish_lifecycle(self, group: Group, instance: str, action: Action) -> None:
        hook = action.hook
        if hook.target_arn is None:
            return
        notice = LifecycleNotice(
            hook=hook.name,
            transition=hook.transition,
            instance=instance,
            token=action.token,
            metadata=hook.metadata,
            request_id=self.uuid(),
        )
        body = messages.lifecycle_body(group.identity, notice, self.now())
        subject = messages.lifecycle_subject(hook.transition, instance)
        outbox.enqueue(self, Message(topic_arn=hook.target_arn, subject=subject, body=body))

    def publish_test(self, group: Group, topic_arn: str) -> None:
        body = messages.test_body(group.identity, self.uuid(), self.now())
        subject = messages.subject(messages.TEST, group.name)
        outbox.enqueue(self, Message(topic_arn=topic_arn, subject=subject, body=body))
