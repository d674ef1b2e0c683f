"""Which number a newcomer gets: the lowest free one, or the one its zone suggests. Pure.

What must never happen: two members with one number, a member with two numbers, a number given again
while its last holder may still be alive. The first two are held by the conditions of the writes,
the third by `Release` alone freeing a slot.
"""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from triggerfish.provision.instructions import Assign, Change, Save
from triggerfish.provision.members import Member, Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.provision.observation import Machine, Observation

MEMBER_TAG = "triggerfish:member"
"""The tag that names group and number (`web/7`): the copy from which a lost table is rebuilt."""

UNKNOWN_LAUNCH_MS = 1 << 62


def is_free(slot: Slot | None, now_ms: int) -> bool:
    return slot is None or (not slot.instance and slot.free_ms <= now_ms)


def free_numbers(group: ProvisionGroup, slots: Mapping[int, Slot], now_ms: int) -> Iterator[int]:
    """The free numbers, lowest first: endless in an elastic group, 1..size in a stateful one."""
    numbers: Iterable[int] = (
        count(1) if group.mode == "elastic" else range(1, (group.size or 0) + 1)
    )
    return (number for number in numbers if is_free(slots.get(number), now_ms))


def plan_numbers(
    group: ProvisionGroup,
    newcomers: Sequence[tuple[Member | None, Member]],
    slots: Mapping[int, Slot],
    seen: Observation,
) -> list[Assign | Save]:
    """Number the newcomers, oldest launch first.

    A newcomer is a pair: the member as stored (None at birth) and as it stands now. Those that find
    no free number are kept as `seen`, with the reason.
    """
    ordered = sorted(newcomers, key=lambda pair: _launch_order(pair[1], seen.machines))
    free = list(islice(free_numbers(group, slots, seen.now_ms), len(ordered) + _spare(group)))
    chosen = _choose(group, [member for _, member in ordered], free, slots, seen)
    return [
        _assign(group, before, member, number, slots.get(number), seen.now_ms)
        if (number := chosen.get(member.instance)) is not None
        else _keep_waiting(group, before, member, slots)
        for before, member in ordered
    ]


def _spare(group: ProvisionGroup) -> int:
    return group.size or 0 if group.mode == "stateful" else 0


def _launch_order(member: Member, machines: Mapping[str, Machine]) -> tuple[int, str]:
    machine = machines.get(member.instance)
    return (machine.launched_ms if machine else UNKNOWN_LAUNCH_MS, member.instance)


def _choose(
    group: ProvisionGroup,
    members: Sequence[Member],
    free: list[int],
    slots: Mapping[int, Slot],
    seen: Observation,
) -> dict[str, int]:
    """Give each member a number: its tag's, else its zone's, else the lowest of `free`."""
    chosen: dict[str, int] = {}
    taken: set[int] = set()
    for member in members:
        number = tagged_number(group, seen.machines.get(member.instance))
        # A copied tag: the first to bring it has the number, the others get one as newcomers do.
        if number and number not in taken and is_free(slots.get(number), seen.now_ms):
            chosen[member.instance] = number
            taken.add(number)
    remaining = dict.fromkeys(number for number in free if number not in taken)
    for choose in (_in_its_zone, _lowest):
        for member in members:
            if member.instance in chosen:
                continue
            number = choose(group, member, remaining, slots)
            if number is not None:
                del remaining[number]
                chosen[member.instance] = number
    return chosen


def tagged_number(group: ProvisionGroup, machine: Machine | None) -> int | None:
    text = machine.tags.get(MEMBER_TAG, "") if machine else ""
    name, _, number = text.rpartition("/")
    # A tag can be written by anyone: only a plain number of this very group counts.
    if name != group.group or not number.isascii() or not number.isdecimal() or len(number) > 5:
        return None
    if group.mode == "stateful" and int(number) > (group.size or 0):
        return None
    return int(number) or None


def _in_its_zone(
    group: ProvisionGroup,
    member: Member,
    remaining: Mapping[int, None],
    slots: Mapping[int, Slot],
) -> int | None:
    if group.mode == "stateful" and member.zone:
        for number in remaining:
            slot = slots.get(number)
            if slot is not None and slot.zone == member.zone:
                return number
    return None


def _lowest(
    _group: ProvisionGroup,
    _member: Member,
    remaining: Mapping[int, None],
    _slots: Mapping[int, Slot],
) -> int | None:
    return next(iter(remaining), None)


def _assign(
    group: ProvisionGroup,
    before: Member | None,
    member: Member,
    number: int,
    slot: Slot | None,
    now_ms: int,
) -> Assign:
    naming: dict[str, str | int] = {
        "number": number,
        "group": group.group,
        "instance": member.instance,
        "az": member.zone,
    }
    after = replace(
        member,
        phase="numbered",
        number=number,
        name=group.name.render(**naming),
        domain=group.domain.render(**naming),
        recorded=slot.recorded if slot else None,
        reason="",
        since_ms=now_ms,
        told=False,
    )
    slot_after = Slot(
        number=number,
        instance=member.instance,
        generation=member.generation,
        zone=member.zone,
        version=slot.version if slot else 0,
    )
    cause = f"number {number} was the lowest free"
    if slot is not None and slot.zone == member.zone and group.mode == "stateful":
        cause = f"number {number} was free and last lived in {member.zone}"
    return Assign(Change(before, after, cause), slot, slot_after)


def _keep_waiting(
    group: ProvisionGroup, before: Member | None, member: Member, slots: Mapping[int, Slot]
) -> Save:
    holders = ", ".join(
        f"{number} is held by {slots[number].instance}"
        for number in range(1, (group.size or 0) + 1)
        if number in slots and slots[number].instance
    )
    reason = f"waits for a free number of 1..{group.size}: {holders or 'all are cooling'}"
    return Save(Change(before, replace(member, reason=reason), reason))
