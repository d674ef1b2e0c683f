"""What a decision consists of: frozen instructions, carried out in this order. Pure.

Each instruction that changes the world carries the state to write once it has been done, or, for a
build, the intention that is written before it's asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triggerfish.notice import Notice
    from triggerfish.provision.members import Build, Member, Memory, Slot


@dataclass(frozen=True, slots=True)
class Change:
    """A transition of one member, with its cause, for `explain`. `before` is None at birth."""

    before: Member | None
    after: Member
    cause: str


@dataclass(frozen=True, slots=True)
class Save:
    """Write a transition that needs nothing done first."""

    change: Change


@dataclass(frozen=True, slots=True)
class Assign:
    """Give a number: slot and member in one transaction."""

    change: Change
    slot_before: Slot | None
    slot_after: Slot


@dataclass(frozen=True, slots=True)
class Point:
    """Make the member's DNS name hold its address, replacing only `previous`."""

    change: Change
    domain: str
    address: str
    previous: str | None


@dataclass(frozen=True, slots=True)
class Unpoint:
    """Remove the member's DNS record if it still holds `address`."""

    change: Change
    domain: str
    address: str


@dataclass(frozen=True, slots=True)
class Tag:
    change: Change
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Trigger:
    """Ask Jenkins for a build. The intention (`change.after`) is written before the request."""

    change: Change
    build: Build
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take a queued item out of the queue, or stop a running build."""

    change: Change
    build: Build
    queue_id: int | None
    number: int | None


@dataclass(frozen=True, slots=True)
class Beat:
    """Restart the lifecycle hook's timer."""

    change: Change


@dataclass(frozen=True, slots=True)
class Complete:
    """End the lifecycle action; `result` is CONTINUE or ABANDON."""

    change: Change
    result: str


@dataclass(frozen=True, slots=True)
class Terminate:
    """Terminate the instance in its group; the group launches another."""

    change: Change


@dataclass(frozen=True, slots=True)
class Release:
    """Free the number of a member that has gone: slot and member in one transaction."""

    change: Change
    slot_before: Slot | None
    slot_after: Slot | None


@dataclass(frozen=True, slots=True)
class Remember:
    before: Memory
    after: Memory


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell people, then write that they were told: at least once, never silently."""

    change: Change
    notice: Notice


Instruction = (
    Save
    | Assign
    | Point
    | Unpoint
    | Tag
    | Trigger
    | Cancel
    | Beat
    | Complete
    | Terminate
    | Release
    | Remember
    | Tell
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision for one group. `wake_s` is when to look again; None leaves it to the sweep."""

    instructions: tuple[Instruction, ...]
    wake_s: int | None
