"""What is there now: group, instances, balancers and Jenkins, as one run saw them. Pure.

Names and values are AWS's own words (Auto Scaling `LifecycleState`, EC2 instance state, ELBv2
`TargetHealth.State`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Listed:
    """An instance as its Auto Scaling group, or the group's warm pool, lists it."""

    lifecycle: str
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """An instance as EC2 describes it. `launched_ms` orders a burst."""

    state: str
    address: str | None
    zone: str
    launched_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    """An Auto Scaling group. `desired` counts instances in service, not those in standby."""

    desired: int
    instances: Mapping[str, Listed]
    target_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueuedItem:
    id: int
    why: str = ""
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class SeenBuild:
    job: str
    number: int
    done: bool
    result: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JenkinsView:
    """What Jenkins showed of our requests, keyed by request id.

    The queue was read before the builds, so an item that left the queue in between is seen as a
    build. `complete_since_ms` is, for each job, the moment from which every build of it is in
    `builds`: only what was asked for after that moment may be called lost. `unsearched` are the
    requests that there was no time to search for.
    """

    queue: Mapping[str, QueuedItem]
    builds: Mapping[str, SeenBuild]
    complete_since_ms: Mapping[str, int]
    unsearched: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class HookView:
    """The launch hook the group is set up with. `heartbeat_timeout_s` is 30 to 7200."""

    heartbeat_timeout_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One run's look at the world.

    `machines` holds what EC2 answered for the instances in `asked`; an instance that was asked for
    and isn't there is either gone for more than an hour or too new to be visible. `health` holds,
    for each instance asked for, its state in each target group. `jenkins` is None when nothing
    needed it; `jenkins_fault` says why it could not be read. `returns` are the instances that an
    event called back from standby, with the activity: for the record, they decide nothing.
    """

    now_ms: int
    run: str
    group: GroupView
    machines: Mapping[str, Machine] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    health: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    jenkins: JenkinsView | None = None
    jenkins_fault: str | None = None
    hook: HookView | None = None
    returns: Mapping[str, str] = field(default_factory=dict)
