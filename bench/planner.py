"""The planner over a group of 5,000 members, and what reading and writing its state costs.

    python bench/planner.py

The planner is pure: no clock, table or network is in its figures. The table is the one in memory,
which keeps items as DynamoDB's attribute values: the figures of read and save hold its work too.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec.structs import replace as changed

import machine
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.local.fakes.table import MemoryTable
from triggerfish.provision.config import ProvisionGroup
from triggerfish.provision.members import (
    GroupState,
    Member,
    Memory,
    Slot,
    state_from_items,
    to_item,
)
from triggerfish.provision.observation import GroupView, Listed, Machine, Observation
from triggerfish.provision.plan import plan_group
from triggerfish.provision.store import GroupStore, Transition
from triggerfish.templates import Template

if TYPE_CHECKING:
    from collections.abc import Callable

    from triggerfish.provision.instructions import Assign, Instruction

MEMBERS = 5_000
CHANGING = MEMBERS // 100
SAVED = 500
REPEATS = 15
NOW_MS = 1_750_000_000_000
ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
GROUP = ProvisionGroup(
    group="web",
    name=Template("web-{number:02}"),
    domain=Template("web-{number:02}.internal.example.com"),
    zone="internal.example.com",
    jenkins="main",
    jobs=("infra/provision", "app/deploy"),
    tags={"role": Template("web"), "member": Template("{group}-{number}")},
)


def instance(number: int) -> str:
    return f"i-{number:017x}"


def newcomers() -> tuple[GroupState, Observation]:
    """Everyone launched just now; nobody is known yet."""
    numbers = range(1, MEMBERS + 1)
    machines = {
        instance(n): Machine(
            state="running",
            address=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}",
            zone=ZONES[n % 3],
            launched_ms=NOW_MS - n,
        )
        for n in numbers
    }
    view = GroupView(
        desired=MEMBERS,
        instances={instance(n): Listed("InService", ZONES[n % 3]) for n in numbers},
        target_groups=("target-group",),
    )
    state = GroupState(members={}, slots={}, memory=Memory())
    seen = Observation(
        now_ms=NOW_MS, run="bench", group=view, machines=machines, asked=frozenset(machines)
    )
    return state, seen


def at_rest() -> tuple[GroupState, Observation]:
    """Everyone ready and in service: what a sweep finds, most of the time."""
    state, seen = newcomers()
    for instruction in plan_group(GROUP, state, seen).instructions:
        assigned(state, instruction)
    return state, replace(seen, machines={}, asked=frozenset())


def assigned(state: GroupState, instruction: Instruction) -> None:
    assign: Assign = instruction  # type: ignore[assignment]  # newcomers are only numbered
    member, slot = assign.change.after, assign.slot_after
    ready = changed(
        member, phase="ready", tagged=True, address="192.0.2.1", recorded="192.0.2.1", version=6
    )
    state.members[member.instance] = ready
    state.slots[slot.number] = changed(slot, version=1)


def changing() -> tuple[GroupState, Observation]:
    """One in a hundred is on its way: numbered, and waiting for its name."""
    state, seen = at_rest()
    chosen = list(state.members)[:: MEMBERS // CHANGING]
    for name in chosen:
        member = state.members[name]
        state.members[name] = changed(
            member, phase="numbered", tagged=False, address=None, recorded=None
        )
    machines = {
        name: Machine(state="running", address="192.0.2.2", zone=ZONES[0], launched_ms=NOW_MS)
        for name in chosen
    }
    return state, replace(seen, machines=machines, asked=frozenset(machines))


def milliseconds(work: Callable[[], object]) -> list[float]:
    samples = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        samples.append((time.perf_counter() - began) * 1000)
    return samples


def measure_planner() -> None:
    cases = {"at rest": at_rest(), "1 % changing": changing(), "all newcomers": newcomers()}
    wanted = {"at rest": 0, "1 % changing": CHANGING, "all newcomers": MEMBERS}
    for name, (state, seen) in cases.items():
        found = len(plan_group(GROUP, state, seen).instructions)
        if found != wanted[name]:
            raise SystemExit(f"{name}: planned {found} instructions, wanted {wanted[name]}")
        samples = milliseconds(lambda s=state, o=seen: plan_group(GROUP, s, o))  # type: ignore[misc]
        print(machine.line(f"plan, {MEMBERS:,} members, {name}", samples, "ms", 50))


def measure_state() -> None:
    state, _ = at_rest()
    items = [
        *({"pk": "group#web", "sk": f"member#{m.instance}", **fields(m)} for m in people(state)),
        *({"pk": "group#web", "sk": f"slot#{s.number:05}", **fields(s)} for s in slots(state)),
    ]
    print(
        machine.line(
            f"state_from_items, {len(items):,} items",
            milliseconds(lambda: state_from_items(items)),
            "ms",
        )
    )
    fresh, seen = newcomers()
    plan = plan_group(GROUP, fresh, seen).instructions[:SAVED]
    transitions = [
        Transition(change=i.change, slot_before=i.slot_before, slot_after=i.slot_after)  # type: ignore[union-attr]
        for i in plan
    ]

    def save() -> None:
        written = GroupStore(MemoryTable(), "web", ManualClock()).save(transitions)
        if len(written.members) != SAVED:
            raise SystemExit(f"wrote {len(written.members)}, wanted {SAVED}")

    print(machine.line(f"save, {SAVED} newcomers with slots", milliseconds(save), "ms"))


def people(state: GroupState) -> list[Member]:
    return list(state.members.values())


def slots(state: GroupState) -> list[Slot]:
    return list(state.slots.values())


def fields(value: Member | Slot) -> dict[str, object]:
    return dict(to_item(value))


def main() -> None:
    print(machine.describe())
    measure_planner()
    measure_state()


if __name__ == "__main__":
    main()
