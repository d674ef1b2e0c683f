"""A person frees a number: only by force while its holder may live, and never unrecorded."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.provision.conftest import NOW_MS, make_build, make_member, make_named, make_state
from triggerfish.errors import Conflict, InputError, Refused
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.local.fakes.table import MemoryTable
from triggerfish.provision.instructions import Change
from triggerfish.provision.members import GroupState, Member, Slot
from triggerfish.provision.release import plan_release, ranges, release
from triggerfish.provision.store import GroupStore, Transition, history
from triggerfish.runtime.table import Put

WHO = "ana@ops.example.com"


def make_store(*members: Member) -> GroupStore:
    store = GroupStore(MemoryTable(), "web", ManualClock())
    for member in members:
        unwritten = replace(member, version=0)
        slot = Slot(number=member.number or 0, instance=member.instance, zone=member.zone)
        change = Change(None, unwritten, "launched")
        store.save([Transition(change=change, slot_after=slot if member.number else None)])
    return store


def freed(state: GroupState, *, force: bool = True) -> Transition:
    return plan_release("web", state, 1, who=WHO, force=force, now_ms=NOW_MS)


def test_number_of_a_member_that_may_live_is_kept() -> None:
    with pytest.raises(Refused) as caught:
        freed(make_state(make_named(phase="ready")), force=False)
    assert caught.value.message == (
        "number 1 of web is held by i-1 (ready), which may be alive:"
        " two servers could act as one member"
    )
    assert caught.value.hint == "stop i-1 first; --force frees the number all the same"


def test_force_frees_the_number_and_says_who_did_it() -> None:
    member = make_named(phase="ready")
    transition = freed(make_state(member))
    assert transition.change == Change(
        member,
        replace(
            member,
            phase="failed",
            number=None,
            recorded=None,
            reason="number 1 was released by ana@ops.example.com",
            since_ms=NOW_MS,
            told=True,
            hook_done=True,
        ),
        "number 1 released by force, by ana@ops.example.com",
    )
    assert transition.slot_before == Slot(
        number=1, instance="i-1", generation=1, zone="eu-west-1a", version=1
    )
    assert transition.slot_after == Slot(
        number=1, zone="eu-west-1a", recorded="192.0.2.4", version=1
    )


def test_number_that_nobody_has_names_those_that_are_held() -> None:
    state = make_state(
        make_member("i-2", number=2), make_member("i-3", number=3), slots=[Slot(number=7)]
    )
    with pytest.raises(InputError, match=r"^nobody has number 1 of web; held numbers: 2\.\.3$"):
        freed(state)
    with pytest.raises(InputError, match=r"^nobody has number 1 of web; held numbers: none$"):
        freed(make_state())


def test_number_that_changes_hands_is_left_alone() -> None:
    state = make_state(slots=[Slot(number=1, instance="i-9", version=4)])
    with pytest.raises(Conflict, match="number 1 of web is changing hands"):
        freed(state)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([], "none"),
        ([4], "4"),
        ([1, 2], "1..2"),
        ([1, 3, 4, 5, 9, 10, 12], "1, 3..5, 9..10, 12"),
        (list(range(1, 1001)), "1..1000"),
    ],
)
def test_ranges(numbers: list[int], words: str) -> None:
    assert ranges(numbers) == words


def test_released_number_is_free_and_the_story_tells_by_whom() -> None:
    store = make_store(make_named(phase="ready", builds=(make_build(number=7),)))
    member = release(store, 1, who=WHO, force=True, now_ms=NOW_MS)
    assert (member.phase, member.number) == ("failed", None)
    state = store.read()
    assert state.members["i-1"] == member
    assert state.slots[1].instance == ""
    assert state.slots[1].recorded == "192.0.2.4"
    told = [(entry.to_phase, entry.cause) for entry in history(store._table, "i-1")]
    assert told == [
        ("ready", "launched"),
        ("failed", "number 1 released by force, by ana@ops.example.com"),
    ]


def test_refused_release_writes_nothing() -> None:
    store = make_store(make_named(phase="ready"))
    before = store.read()
    with pytest.raises(Refused):
        release(store, 1, who=WHO, force=False, now_ms=NOW_MS)
    assert store.read() == before


def test_release_twice_finds_nobody() -> None:
    store = make_store(make_named())
    release(store, 1, who=WHO, force=True, now_ms=NOW_MS)
    with pytest.raises(InputError, match="nobody has number 1 of web"):
        release(store, 1, who=WHO, force=True, now_ms=NOW_MS)


class Overtaken(GroupStore):
    """Somebody else writes the slot between our look and our write."""

    def read(self) -> GroupState:
        state = super().read()
        slot = state.slots[1]
        self._table.write(
            Put({"pk": "group#web", "sk": "slot#00001", "number": 1, "version": slot.version + 1})
        )
        return state


def test_release_that_was_overtaken_says_so_and_changes_nothing() -> None:
    table = make_store(make_named())._table
    store = Overtaken(table, "web", ManualClock())
    with pytest.raises(Conflict) as caught:
        release(store, 1, who=WHO, force=True, now_ms=NOW_MS)
    assert caught.value.message == "number 1 of web changed meanwhile"
    assert GroupStore(table, "web", ManualClock()).read().members["i-1"].phase == "named"
