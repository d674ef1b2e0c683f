"""A person's override: a number is taken from its holder, whatever EC2 says of it.

The only way to free a number without proof of death. It's recorded with who did it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from triggerfish.errors import Conflict, InputError, Refused
from triggerfish.provision.instructions import Change
from triggerfish.provision.members import Slot
from triggerfish.provision.store import Transition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.provision.members import GroupState, Member
    from triggerfish.provision.store import GroupStore


def plan_release(
    group: str, state: GroupState, number: int, *, who: str, force: bool, now_ms: int
) -> Transition:
    """The transition that frees `number` of `group`.

    The DNS record stays until the number's next holder takes it over from the address it holds.
    Raises InputError where nobody has the number, Refused where `force` is needed.
    """
    slot = state.slots.get(number)
    if slot is None or not slot.instance:
        held = [n for n, slot in sorted(state.slots.items()) if slot.instance]
        raise InputError(f"nobody has number {number} of {group}; held numbers: {ranges(held)}")
    member = state.members.get(slot.instance)
    if member is None:
        raise Conflict(f"number {number} of {group} is changing hands", hint="try again")
    if not force:
        raise Refused(
            f"number {number} of {group} is held by {slot.instance} ({member.phase}), which may be"
            " alive: two servers could act as one member",
            hint=f"stop {slot.instance} first; --force frees the number all the same",
        )
    after = replace(
        member,
        phase="failed",
        number=None,
        recorded=None,
        reason=f"number {number} was released by {who}",
        since_ms=now_ms,
        told=True,
        hook_done=True,
    )
    free = Slot(number=number, zone=slot.zone, recorded=member.recorded, version=slot.version)
    cause = f"number {number} released by force, by {who}"
    return Transition(change=Change(member, after, cause), slot_before=slot, slot_after=free)


def release(store: GroupStore, number: int, *, who: str, force: bool, now_ms: int) -> Member:
    """Free the number; gives the member as it is afterwards. Raises Conflict when overtaken."""
    transition = plan_release(
        store.group, store.read(), number, who=who, force=force, now_ms=now_ms
    )
    written = store.save([transition])
    if not written.members:
        raise Conflict(f"number {number} of {store.group} changed meanwhile", hint="try again")
    return written.members[0]


def ranges(numbers: Sequence[int]) -> str:
    """Numbers in rising order, in few words.

    >>> ranges([1, 2, 3, 5])
    '1..3, 5'
    """
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    words = (f"{first}..{last}" if first < last else f"{first}" for first, last in runs)
    return ", ".join(words) or "none"
