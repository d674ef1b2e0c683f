from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from tests.provision.conftest import PROVISIONED, make_build, make_member, make_named
from triggerfish.errors import Conflict, Unavailable
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.local.fakes.table import MemoryTable
from triggerfish.notice import Notice
from triggerfish.provision.instructions import Change
from triggerfish.provision.members import GroupState, Memory, Slot, to_item
from triggerfish.provision.store import (
    GroupStore,
    HistoryEntry,
    Transition,
    Written,
    history,
    keep_notice,
)
from triggerfish.runtime.table import Put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.provision.members import Member
    from triggerfish.runtime.table import Item, Write

NOON_S = 1_795_521_600
DAY_S = 86_400


class Recording(MemoryTable):
    """Remembers how many writes each transaction had."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def before_write(self, writes: Sequence[Write]) -> None:
        self.sizes.append(len(writes))


class AnswersLost(MemoryTable):
    """Every write is made, its answer is lost, and botocore sends it again."""

    def transact(self, writes: Sequence[Write]) -> None:
        super().transact(writes)
        super().transact(writes)


@pytest.fixture
def table() -> Recording:
    return Recording()


@pytest.fixture
def store(table: Recording) -> GroupStore:
    return GroupStore(table, "web", ManualClock())


def make_slot(**changes: Any) -> Slot:
    settings = {"number": 1, "instance": "i-1", "generation": 1, "zone": "eu-west-1a"}
    return Slot(**{**settings, **changes})


def birth(instance: str = "i-1", number: int = 1) -> Transition:
    """A member and its number, at once."""
    member = make_member(instance, number=number, version=0)
    return Transition(
        change=Change(None, member, f"number {number} was the lowest free"),
        slot_before=None,
        slot_after=make_slot(number=number, instance=instance),
    )


def step(member: Member, cause: str = "because", **changes: Any) -> Transition:
    return Transition(change=Change(member, replace(member, **changes), cause))


# --- reading back ------------------------------------------------------------------------------


def test_what_is_written_is_read_back_whole(store: GroupStore) -> None:
    member = make_named(
        builds=(PROVISIONED, make_build(queue_id=17)),
        reason="Blocked by infra » provision",
        lifecycle="standby",
        pooled=True,
        hook_done=True,
        standby_returns=3,
        version=0,
    )
    slot = make_slot(recorded="192.0.2.99", free_ms=5)
    written = store.save([Transition(change=Change(None, member, "born"), slot_after=slot)])
    stored, held = replace(member, version=1), replace(slot, version=1)
    assert written == Written([stored], [held])
    assert store.read() == GroupState(members={"i-1": stored}, slots={1: held}, memory=Memory())


def test_what_others_keep_in_the_partition_is_passed_over(
    store: GroupStore, table: Recording
) -> None:
    for key in ("lease", "wake", "something new"):
        table.write(Put({"pk": "group#web", "sk": key, "owner": "run-1"}))
    assert store.read() == GroupState(members={}, slots={}, memory=Memory())


def test_groups_do_not_see_each_other(store: GroupStore, table: Recording) -> None:
    store.save([birth()])
    assert GroupStore(table, "we", ManualClock()).read().members == {}
    assert GroupStore(table, "web2", ManualClock()).read().members == {}


def test_an_item_of_an_older_version_of_triggerfish_is_read(
    store: GroupStore, table: Recording
) -> None:
    """Fields that came later have their defaults; those that went are passed over."""
    old: Item = {
        "pk": "group#web",
        "sk": "member#i-1",
        "group": "web",
        "instance": "i-1",
        "phase": "ready",
        "seen_ms": 1,
        "since_ms": 2,
        "started_ms": 3,
        "forgotten": "field",
    }
    table.write(Put(old))
    (member,) = store.read().members.values()
    assert (member.phase, member.generation, member.version) == ("ready", 1, 0)


# --- conditions --------------------------------------------------------------------------------


def test_a_number_is_given_to_one_only(store: GroupStore) -> None:
    store.save([birth("i-1")])
    assert store.save([birth("i-2")]) == Written(overtaken=1)
    state = store.read()
    assert list(state.members) == ["i-1"]
    assert state.slots[1].instance == "i-1"


def test_a_member_gets_one_number_only(store: GroupStore) -> None:
    store.save([birth(number=1)])
    assert store.save([birth(number=2)]) == Written(overtaken=1)
    assert list(store.read().slots) == [1]


def test_a_decision_from_an_older_state_is_not_carried_out(store: GroupStore) -> None:
    (member,) = store.save([birth()]).members
    store.save([step(member, phase="named")])
    assert store.save([step(member, phase="failed")]) == Written(overtaken=1)
    assert store.read().members["i-1"].phase == "named"


def test_a_number_that_moved_is_not_freed(store: GroupStore) -> None:
    """A late end of the old holder meets the new one."""
    written = store.save([birth()])
    (member,), (slot,) = written.members, written.slots
    taken = replace(slot, instance="i-2")
    other = make_member("i-2", version=0)
    store.save(
        [Transition(change=Change(None, other, "took over"), slot_before=slot, slot_after=taken)]
    )
    gone = replace(member, phase="gone")
    release = Transition(
        change=Change(member, gone, "gone"), slot_before=slot, slot_after=Slot(number=1)
    )
    assert store.save([release]) == Written(overtaken=1)
    assert store.read().slots[1].instance == "i-2"
    assert set(store.read().members) == {"i-1", "i-2"}


def test_one_that_was_overtaken_keeps_no_other_from_being_written(store: GroupStore) -> None:
    store.save([birth("i-1", 1)])
    written = store.save([birth("i-2", 2), birth("i-9", 1), birth("i-3", 3)])
    assert [member.instance for member in written.members] == ["i-2", "i-3"]
    assert [slot.number for slot in written.slots] == [2, 3]
    assert written.overtaken == 1
    assert sorted(store.read().members) == ["i-1", "i-2", "i-3"]


@pytest.mark.parametrize("count", [1, 3])
def test_our_own_write_whose_answer_was_lost_is_no_conflict(count: int) -> None:
    store = GroupStore(AnswersLost(), "web", ManualClock())
    written = store.save([birth(f"i-{n}", n) for n in range(1, count + 1)])
    assert (len(written.members), written.overtaken) == (count, 0)


def test_our_own_change_whose_answer_was_lost_is_no_conflict() -> None:
    store = GroupStore(AnswersLost(), "web", ManualClock())
    (member,) = store.save([birth()]).members
    built = step(member, phase="building", builds=(make_build(queue_id=17),))
    assert store.save([built]).overtaken == 0


def test_another_change_that_came_between_is_a_conflict() -> None:
    class Between(MemoryTable):
        """Somebody else writes before our write, whose answer is then lost."""

        def transact(self, writes: Sequence[Write]) -> None:
            other = make_member(reason="by somebody else")
            super().transact(
                [Put({"pk": "group#web", "sk": "member#i-1", **to_item(other)}), *writes[1:]]
            )
            super().transact(writes)

    assert GroupStore(Between(), "web", ManualClock()).save([birth()]) == Written(overtaken=1)


def test_a_table_that_stays_contended_writes_nothing() -> None:
    class Contended(MemoryTable):
        def transact(self, writes: Sequence[Write]) -> None:
            raise Conflict("the items stayed contended")

    assert GroupStore(Contended(), "web", ManualClock()).save([birth()]) == Written(overtaken=1)


def test_a_table_that_is_away_is_said() -> None:
    class Away(MemoryTable):
        def before_write(self, writes: Sequence[Write]) -> None:
            raise Unavailable("dynamodb:TransactWriteItems: no answer")

    with pytest.raises(Unavailable, match="no answer"):
        GroupStore(Away(), "web", ManualClock()).save([birth()])


# --- transactions ------------------------------------------------------------------------------


def test_a_burst_shares_transactions_of_at_most_100_writes(
    store: GroupStore, table: Recording
) -> None:
    written = store.save([birth(f"i-{n}", n) for n in range(1, 51)])
    assert len(written.members) == 50
    assert table.sizes == [99, 51]


def test_nothing_to_write_writes_nothing(store: GroupStore, table: Recording) -> None:
    assert store.save([]) == Written()
    assert table.sizes == []


# --- the gone, and history ---------------------------------------------------------------------


def test_a_member_that_has_gone_is_kept_aside_for_30_days(
    store: GroupStore, table: Recording
) -> None:
    written = store.save([birth()])
    (member,), (slot,) = written.members, written.slots
    gone = replace(member, phase="gone", reason="EC2 says terminated")
    free = Slot(number=1, free_ms=9, zone="eu-west-1a", version=slot.version)
    store.save([Transition(change=Change(member, gone, "gone"), slot_before=slot, slot_after=free)])
    state = store.read()
    assert state.members == {}
    assert state.slots == {1: replace(free, version=2)}
    assert store.gone() == [replace(gone, version=2)]
    kept = table.get("gone#web", "i-1")
    assert kept is not None
    assert kept["expires_at"] == NOON_S + 30 * DAY_S


def test_every_transition_is_in_the_history_with_its_cause_for_90_days(table: Recording) -> None:
    clock = ManualClock()
    store = GroupStore(table, "web", clock)
    (member,) = store.save([birth()]).members
    clock.advance(1.5)
    (member,) = store.save([step(member, "it has a name", phase="named")]).members
    store.save([step(member, "Jenkins is away", reason="Jenkins is away")])
    common: dict[str, Any] = {"group": "web", "instance": "i-1", "generation": 1, "number": 1}
    start_ms = NOON_S * 1000
    assert history(table, "i-1") == [
        HistoryEntry(
            **common,
            at_ms=start_ms,
            from_phase="",
            to_phase="numbered",
            cause="number 1 was the lowest free",
        ),
        HistoryEntry(
            **common,
            at_ms=start_ms + 1500,
            from_phase="numbered",
            to_phase="named",
            cause="it has a name",
        ),
        HistoryEntry(
            **common,
            at_ms=start_ms + 1500,
            from_phase="named",
            to_phase="named",
            cause="Jenkins is away",
        ),
    ]
    assert {item["expires_at"] for item in table.query("instance#i-1")} == {
        NOON_S + 90 * DAY_S,
        NOON_S + 90 * DAY_S + 1,
    }


def test_a_transition_that_was_overtaken_is_not_in_the_history(
    store: GroupStore, table: Recording
) -> None:
    store.save([birth("i-1")])
    store.save([birth("i-2")])
    assert history(table, "i-2") == []


# --- memory and notices ------------------------------------------------------------------------


def test_a_group_remembers_its_failures(store: GroupStore) -> None:
    first = store.remember(Memory(), Memory(failures=1))
    assert first == Memory(failures=1, version=1)
    assert store.remember(first, Memory(failures=2)) == Memory(failures=2, version=2)
    assert store.read().memory == Memory(failures=2, version=2)


def test_what_was_remembered_meanwhile_is_not_overwritten(store: GroupStore) -> None:
    store.remember(Memory(), Memory(failures=1))
    with pytest.raises(Conflict):
        store.remember(Memory(), Memory(failures=1))


def test_a_notice_is_kept_for_status_and_the_same_matter_once(table: Recording) -> None:
    notice = Notice(
        key="provision/web/i-1/failed",
        severity="warning",
        title="web-01 of web was not provisioned",
        facts=(("Group", "web"), ("Reason", "<script>")),
    )
    keep_notice(table, notice, ManualClock())
    keep_notice(table, notice, ManualClock())
    assert table.query("notices") == [
        {
            "pk": "notices",
            "sk": "provision/web/i-1/failed",
            "at_ms": NOON_S * 1000,
            "severity": "warning",
            "title": "web-01 of web was not provisioned",
            "facts": [["Group", "web"], ["Reason", "<script>"]],
            "expires_at": NOON_S + 30 * DAY_S,
        }
    ]
