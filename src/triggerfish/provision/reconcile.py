"""One run for one group: look, decide, do, until there is nothing to do now; then wake again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from triggerfish.provision.act import Actor
from triggerfish.provision.observe import observe
from triggerfish.provision.plan import plan_group
from triggerfish.provision.store import GroupStore
from triggerfish.runtime import log
from triggerfish.runtime.lease import Lease, claim_wake

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.provision.instructions import Plan
    from triggerfish.provision.ports import Ports

ROUNDS = 10
"""A member needs five rounds from first sight to its queued build."""


def reconcile(
    group: ProvisionGroup,
    ports: Ports,
    *,
    run: str,
    may_go_on: Callable[[], bool],
    wake_at_least_s: int | None = None,
    returns: Mapping[str, str] | None = None,
) -> None:
    """Bring the group closer to where it should be.

    `run` names this run and no other. `may_go_on` says whether there's time for another round.
    `wake_at_least_s` asks for another look where this one finds nothing to wait for: an event may
    be ahead of what AWS shows. `returns` are the instances that events called back from standby,
    with the activity. Raises Unavailable, after giving the group back.
    """
    store = GroupStore(ports.table, group.group, ports.clock)
    lease = Lease(ports.table, store.partition, run, ports.clock)
    if not lease.take(returns):
        log.info("another run has the group and will look again", group=group.group)
        return
    wake_s: int | None = None
    try:
        while True:
            wake_s = _pass(group, ports, store, lease, run, may_go_on, returns or {})
            if lease.end():
                break
            if not may_go_on():
                lease.abandon()
                wake_s = 0
                break
            run, returns = f"{run}+", lease.news
    except BaseException:
        lease.abandon()
        raise
    if wake_s is None:
        wake_s = wake_at_least_s
    if wake_s is not None:
        now_ms = int(ports.clock.now().timestamp() * 1000)
        if claim_wake(ports.table, store.partition, now_ms, wake_s):
            ports.wake(group.group, wake_s)


def dry_run(group: ProvisionGroup, ports: Ports) -> Plan:
    """What a run would decide now. Nothing is written and nothing is done."""
    store = GroupStore(ports.table, group.group, ports.clock)
    state = store.read()
    return plan_group(group, state, observe(group, state, ports, "dry-run"))


def _pass(  # noqa: PLR0913, PLR0917 - the parts of one run
    group: ProvisionGroup,
    ports: Ports,
    store: GroupStore,
    lease: Lease,
    run: str,
    may_go_on: Callable[[], bool],
    returns: Mapping[str, str],
) -> int | None:
    """Look once and act on it round by round; gives when to look again."""
    state = store.read()
    seen = observe(group, state, ports, run, returns)
    actor = Actor(group, ports, store, state, lease.keep)
    wake_s: int | None = None
    for _ in range(ROUNDS):
        plan = plan_group(group, state, seen)
        if not plan.instructions:
            return _sooner(plan.wake_s, wake_s)
        outcome = actor.carry_out(plan)
        wake_s = _sooner(wake_s, outcome.wake_s)
        if outcome.jenkins_fault is not None:
            seen = replace(seen, jenkins=None, jenkins_fault=outcome.jenkins_fault)
        if not outcome.progress:
            return _sooner(plan.wake_s, wake_s)
        if not may_go_on():
            return 0
    return 1


def _sooner(left: int | None, right: int | None) -> int | None:
    return min((s for s in (left, right) if s is not None), default=None)
