"""What the provision trigger needs of the world, as its code uses it.

`aws` and `jenkins` talk to the real ones; tests drive the same code with fakes. Every method raises
`Unavailable` where trying later may help and `Refused` where it can't.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from triggerfish.notice import Notice
    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.provision.members import Build
    from triggerfish.provision.observation import GroupView, HookView, JenkinsView, Machine
    from triggerfish.runtime.table import Table
    from triggerfish.types import Clock


class AutoScaling(Protocol):
    def view(self, group: str) -> GroupView:
        """The group with its warm pool. Refused where there is no such group."""

    def hook(self, group: str, name: str) -> HookView | None: ...

    def beat(self, group: str, hook: str, instance: str) -> None:
        """Restart the hook's timer. No active action means nothing to do."""

    def complete(self, group: str, hook: str, instance: str, result: str) -> None:
        """End the lifecycle action. No active action means that it's done."""

    def terminate(self, instance: str) -> None: ...


class Machines(Protocol):
    def describe(self, instances: Collection[str]) -> dict[str, Machine]:
        """What EC2 says of them; those it doesn't show are left out."""

    def tag(self, instance: str, tags: Mapping[str, str]) -> None: ...


class Balancers(Protocol):
    def health(
        self, target_groups: Sequence[str], instances: Collection[str]
    ) -> dict[str, tuple[str, ...]]:
        """`TargetHealth.State` of each instance in each target group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordChange:
    """What should become of a name's A record.

    `previous` is the address that the record may hold before; None: there may be no record.
    `address` is what it should hold; None: no record. Whatever else is found stays as it is.
    """

    domain: str
    previous: str | None
    address: str | None


class Records(Protocol):
    def change(
        self, zone: str, changes: Sequence[RecordChange], *, ttl_s: int
    ) -> dict[str, str | None]:
        """Make the changes in as few requests as the limits allow.

        Gives, for each domain that was left alone, what its record holds instead (None: nothing).
        """


class JenkinsPort(Protocol):
    def look(self, jobs: Sequence[str], builds: Sequence[Build]) -> JenkinsView:
        """Look for these builds, which may not exist yet: queue first, then the jobs' builds."""

    def trigger(self, job: str, parameters: Mapping[str, str]) -> int:
        """Ask for a build; gives the id of the queue item, new or an equal one."""

    def cancel(self, build: Build, *, queue_id: int | None, number: int | None) -> None:
        """Take the item out of the queue, or stop the build; gone already is done."""


class Pace(Protocol):
    def take(self, wanted: int, /) -> int:
        """How many of the wanted calls may be made now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything a run reaches the world through."""

    auto_scaling: AutoScaling
    machines: Machines
    balancers: Balancers
    records: Records
    jenkins: Callable[[ProvisionGroup], JenkinsPort]
    table: Table
    clock: Clock
    wake: Callable[[str, int], None]
    """Send the group a wake-up message after so many seconds."""
    tell: Callable[[Notice], None]
    tag_pace: Pace
    zone_pace: Callable[[str], Pace]
