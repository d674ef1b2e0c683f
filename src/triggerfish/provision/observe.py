"""One look at the world: only what the state at hand makes worth asking for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.errors import Error
from triggerfish.provision.members import IN_PROGRESS
from triggerfish.provision.observation import Observation
from triggerfish.runtime import log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.provision.members import Build, GroupState
    from triggerfish.provision.observation import GroupView, JenkinsView
    from triggerfish.provision.ports import Ports


def observe(
    group: ProvisionGroup,
    state: GroupState,
    ports: Ports,
    run: str,
    returns: Mapping[str, str] | None = None,
) -> Observation:
    """Read the group, then EC2, ELBv2 and Jenkins as far as a member needs it.

    The state was read before: what is asked about here is at least as new as what is known.
    Raises Unavailable or Refused when AWS can't be read; Jenkins' faults are part of the result.
    """
    view = ports.auto_scaling.view(group.group)
    asked = _unsettled(state, view)
    verifying = [m.instance for m in state.members.values() if m.phase in IN_PROGRESS]
    newcomers = asked - state.members.keys()
    jenkins, fault = (None, None)
    if newcomers or _needs_jenkins(state):
        jenkins, fault = _look_at_jenkins(group, state, ports)
    return Observation(
        now_ms=int(ports.clock.now().timestamp() * 1000),
        run=run,
        group=view,
        machines=ports.machines.describe(asked) if asked else {},
        asked=frozenset(asked),
        health=_health(group, view, verifying, ports),
        jenkins=jenkins,
        jenkins_fault=fault,
        returns=returns or {},
        hook=ports.auto_scaling.hook(group.group, group.hook) if group.hook and asked else None,
    )


def _unsettled(state: GroupState, view: GroupView) -> set[str]:
    """The instances EC2 is asked about: all but those at rest, ready and in service."""
    settled = {
        member.instance
        for member in state.members.values()
        if member.phase in {"ready", "failed"}
        and (listed := view.instances.get(member.instance)) is not None
        and listed.lifecycle in {"InService", "Standby"}
    }
    return (view.instances.keys() | state.members.keys()) - settled


def _needs_jenkins(state: GroupState) -> bool:
    return any(
        member.phase in IN_PROGRESS or member.active_build is not None
        for member in state.members.values()
    )


def _look_at_jenkins(
    group: ProvisionGroup, state: GroupState, ports: Ports
) -> tuple[JenkinsView | None, str | None]:
    builds: list[Build] = [
        build for member in state.members.values() if (build := member.active_build) is not None
    ]
    try:
        return ports.jenkins(group).look(group.jobs, builds), None
    except Error as error:
        log.warning("jenkins can't be read", group=group.group, reason=error.message)
        return None, error.message


def _health(
    group: ProvisionGroup, view: GroupView, instances: list[str], ports: Ports
) -> dict[str, tuple[str, ...]]:
    if group.finish != "healthy" or not instances or not view.target_groups:
        return {}
    return ports.balancers.health(view.target_groups, instances)
