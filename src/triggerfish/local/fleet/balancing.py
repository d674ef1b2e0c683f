"""Elastic Load Balancing, mended: a target is healthy only when a job has provisioned it.

moto calls every registered target healthy, and forgets a deregistered one at once. Health here is a
function of times alone, so nothing has to happen for it to change.

Source of states, reasons and descriptions: "Health checks for your target groups" (Application Load
Balancer user guide).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from moto.core.responses import ActionResult
from moto.elbv2.exceptions import TargetGroupNotFoundError
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup
from moto.elbv2.responses import ELBV2Response

if TYPE_CHECKING:
    from collections.abc import Sequence

Health = tuple[str, str | None, str | None]

HEALTHY: Health = ("healthy", None, None)
INITIAL: Health = ("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
FAILED: Health = ("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
DRAINING: Health = (
    "draining",
    "Target.DeregistrationInProgress",
    "Target deregistration is in progress",
)
NOT_REGISTERED: Health = (
    "unused",
    "Target.NotRegistered",
    "Target is not registered to the target group",
)
NOT_IN_USE: Health = (
    "unused",
    "Target.NotInUse",
    "Target group is not configured to receive traffic from the load balancer",
)
STOPPED: Health = ("unused", "Target.InvalidState", "Target is in the stopped state")


class HealthWatcher(Protocol):
    """What a target group asks the fleet."""

    def seconds(self) -> float: ...
    def provisioned_at(self, instance: str) -> float | None: ...
    def health_delays(self) -> tuple[float, float]: ...


class PooledTargetGroup(FakeTargetGroup):
    watcher: ClassVar[HealthWatcher]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.registered_at: dict[str, float] = {}
        self.draining_since: dict[str, float] = {}

    def register(self, targets: Sequence[dict[str, Any]]) -> None:
        for target in targets:
            name = target["Id"]
            if name in self.targets:
                continue
            super().register([target])
            self.registered_at[name] = self.watcher.seconds()
            self.draining_since.pop(name, None)

    def deregister(self, targets: Sequence[dict[str, Any]]) -> None:
        super().deregister(list(targets))
        for target in targets:
            self._drain(target["Id"])

    def deregister_terminated_instances(self, instance_ids: Sequence[str]) -> None:
        self.release(instance_ids)

    def release(self, instance_ids: Sequence[str]) -> bool:
        """Deregister those that are registered; whether any was."""
        registered = [name for name in instance_ids if name in self.targets]
        if registered:
            self.deregister([{"Id": name} for name in registered])
        return bool(registered)

    def _drain(self, name: str) -> None:
        self.registered_at.pop(name, None)
        self.draining_since[name] = self.watcher.seconds()
        self.deregistered_targets.pop(name, None)

    def listed(self) -> list[dict[str, Any]]:
        """Registered targets, and those that still drain."""
        self._forget_drained()
        draining = [{"Id": name, "Port": self.port} for name in self.draining_since]
        return [*self.targets.values(), *draining]

    def health(self, name: str) -> Health:
        self._forget_drained()
        if name in self.draining_since:
            return DRAINING
        if name not in self.targets:
            return NOT_REGISTERED
        if not self.load_balancer_arns:
            return NOT_IN_USE
        instance = self.ec2_backend.get_instance_by_id(name)
        if instance is not None and instance.state in {"stopping", "stopped"}:
            return STOPPED
        return self._checked(name)

    def _checked(self, name: str) -> Health:
        now = self.watcher.seconds()
        health_s, _ = self.watcher.health_delays()
        registered = self.registered_at[name]
        provisioned = self.watcher.provisioned_at(name)
        if provisioned is not None and now >= max(provisioned, registered) + health_s:
            return HEALTHY
        return INITIAL if now < registered + health_s else FAILED

    def _forget_drained(self) -> None:
        _, drain_s = self.watcher.health_delays()
        limit = self.watcher.seconds() - drain_s
        for name in [name for name, since in self.draining_since.items() if since <= limit]:
            del self.draining_since[name]

    def health_for(self, target: dict[str, Any], ec2_backend: object) -> FakeHealthStatus:
        del ec2_backend
        state, reason, description = self.health(target["Id"])
        port = target.get("Port", self.port)
        return FakeHealthStatus(
            target["Id"], port, self.health_check_port, state, reason, description
        )


class BalancingBackend(ELBv2Backend):
    def pools(self, arns: Sequence[str]) -> list[PooledTargetGroup]:
        """Those of `arns` that exist: a target group may be deleted before its group."""
        found = (self.target_groups.get(arn) for arn in arns)
        return [pool for pool in found if isinstance(pool, PooledTargetGroup)]

    def describe_target_health(
        self, target_group_arn: str, targets: list[dict[str, Any]]
    ) -> list[FakeHealthStatus]:
        pools = self.pools([target_group_arn])
        if not pools:
            raise TargetGroupNotFoundError
        return [
            pools[0].health_for(target, self.ec2_backend) for target in targets or pools[0].listed()
        ]


class BalancingResponse(ELBV2Response):
    def _authenticate_and_authorize_normal_action(self, resource: str = "*") -> None:
        """Nobody is refused here; moto would import all of IAM to find that out."""

    def deregister_targets(self) -> ActionResult:
        arn = self._get_param("TargetGroupArn")
        names = [target["Id"] for target in self._get_param("Targets", [])]
        if arn not in self.elbv2_backend.target_groups:
            raise TargetGroupNotFoundError
        pool = self.elbv2_backend.target_groups[arn]
        if isinstance(pool, PooledTargetGroup):
            pool.release(names)
        return ActionResult({})
