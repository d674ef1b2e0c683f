from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from triggerfish.errors import Unavailable
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.local.fakes.table import MemoryTable
from triggerfish.runtime.lease import Lease, LeaseLost, claim_wake
from triggerfish.runtime.table import Delete, Put, Update

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from triggerfish.runtime.table import SingleWrite, Write

WEB = "group#web"
NOON_MS = 1_795_521_600_000


class Interrupted(MemoryTable):
    """Something happens once, just before a write of a kind."""

    def __init__(self) -> None:
        super().__init__()
        self.before: tuple[type[Write], Callable[[], None]] | None = None
        self.writes = 0

    def before_write(self, writes: Sequence[Write]) -> None:
        self.writes += 1
        if self.before is not None and isinstance(writes[0], self.before[0]):
            (_, happen), self.before = self.before, None
            happen()


class AnswersLost(MemoryTable):
    """Every write is made, its answer is lost, and botocore sends it again."""

    def write(self, write: SingleWrite) -> None:
        super().write(write)
        super().write(write)


@pytest.fixture
def table() -> Interrupted:
    return Interrupted()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def lease(table: MemoryTable, owner: str, clock: ManualClock) -> Lease:
    return Lease(table, WEB, owner, clock)


def taken(table: MemoryTable, owner: str, clock: ManualClock) -> Lease:
    made = lease(table, owner, clock)
    assert made.take()
    return made


# --- one at a time -----------------------------------------------------------------------------


def test_one_run_at_a_time_has_the_group(table: Interrupted, clock: ManualClock) -> None:
    first = taken(table, "run-1", clock)
    assert not lease(table, "run-2", clock).take()
    first.abandon()
    assert lease(table, "run-3", clock).take()


def test_other_groups_are_free(table: Interrupted, clock: ManualClock) -> None:
    taken(table, "run-1", clock)
    assert Lease(table, "group#api", "run-2", clock).take()


@pytest.mark.parametrize(("seconds", "free"), [(29.999, False), (30, True)])
def test_a_killed_run_holds_the_group_for_30_seconds(
    table: Interrupted, clock: ManualClock, seconds: float, *, free: bool
) -> None:
    taken(table, "run-1", clock)
    clock.advance(seconds)
    assert lease(table, "run-2", clock).take() is free


def test_the_lease_is_its_owners_although_the_answer_was_lost(clock: ManualClock) -> None:
    table = AnswersLost()
    owned = lease(table, "run-1", clock)
    assert owned.take()
    owned.keep()
    assert table.get(WEB, "lease") == {
        "pk": WEB,
        "sk": "lease",
        "owner": "run-1",
        "until_ms": NOON_MS + 30_000,
    }


def test_a_lease_given_back_while_we_asked_for_it_is_taken(
    table: Interrupted, clock: ManualClock
) -> None:
    first = taken(table, "run-1", clock)
    table.before = (Update, first.abandon)
    assert lease(table, "run-2", clock).take()


# --- keeping -----------------------------------------------------------------------------------


def test_a_run_that_goes_on_keeps_the_group(table: Interrupted, clock: ManualClock) -> None:
    first = taken(table, "run-1", clock)
    for _ in range(6):
        clock.advance(15)
        first.keep()
        assert not lease(table, "run-2", clock).take()


def test_keeping_costs_nothing_before_a_third_has_passed(
    table: Interrupted, clock: ManualClock
) -> None:
    first = taken(table, "run-1", clock)
    clock.advance(9.999)
    first.keep()
    assert table.writes == 1
    clock.advance(0.001)
    first.keep()
    assert table.writes == 2


def test_a_run_whose_group_another_took_must_not_go_on(
    table: Interrupted, clock: ManualClock
) -> None:
    first = taken(table, "run-1", clock)
    clock.advance(31)
    taken(table, "run-2", clock)
    with pytest.raises(LeaseLost, match=r"^group#web: another run took over$"):
        first.keep()


def test_a_run_that_was_slow_but_alone_goes_on(table: Interrupted, clock: ManualClock) -> None:
    first = taken(table, "run-1", clock)
    clock.advance(31)
    first.keep()
    assert not lease(table, "run-2", clock).take()


def test_losing_the_lease_means_trying_later() -> None:
    assert issubclass(LeaseLost, Unavailable)


# --- look again --------------------------------------------------------------------------------


def test_a_group_nobody_asked_for_is_given_back(table: Interrupted, clock: ManualClock) -> None:
    assert taken(table, "run-1", clock).end()
    assert table.get(WEB, "lease") is None


def test_whoever_finds_the_group_taken_makes_its_holder_look_again(
    table: Interrupted, clock: ManualClock
) -> None:
    first = taken(table, "run-1", clock)
    assert not lease(table, "run-2", clock).take()
    assert not lease(table, "run-3", clock).take()
    assert not first.end()
    assert not lease(table, "run-4", clock).take()
    assert not first.end()
    assert first.end()


def test_what_the_other_run_had_heard_is_left_for_the_holder(
    table: Interrupted, clock: ManualClock
) -> None:
    first = taken(table, "run-1", clock)
    lease(table, "run-2", clock).take({"i-1": "activity-1"})
    assert not first.end()
    assert first.news == {"i-1": "activity-1"}
    lease(table, "run-3", clock).take()
    assert not first.end()
    assert first.news == {}


def test_what_two_runs_had_heard_is_left_for_the_holder(
    table: Interrupted, clock: ManualClock
) -> None:
    first = taken(table, "run-1", clock)
    lease(table, "run-2", clock).take({"i-1": "activity-1"})
    lease(table, "run-3", clock).take({"i-2": "activity-2"})
    assert not first.end()
    assert first.news == {"i-1": "activity-1", "i-2": "activity-2"}


def test_a_mark_left_while_the_lease_is_given_back_is_seen(
    table: Interrupted, clock: ManualClock
) -> None:
    first = taken(table, "run-1", clock)
    table.before = (Delete, lambda: ignore(lease(table, "run-2", clock).take()))
    assert not first.end()
    assert first.end()


def test_a_lease_that_another_has_is_not_given_back(table: Interrupted, clock: ManualClock) -> None:
    first = taken(table, "run-1", clock)
    clock.advance(31)
    taken(table, "run-2", clock)
    assert first.end()
    first.abandon()
    assert not lease(table, "run-3", clock).take()


def test_a_lease_that_is_gone_is_given_back(table: Interrupted, clock: ManualClock) -> None:
    first = taken(table, "run-1", clock)
    table.write(Delete(WEB, "lease"))
    assert first.end()


def test_abandoning_gives_the_group_back_whatever_was_asked(
    table: Interrupted, clock: ManualClock
) -> None:
    first = taken(table, "run-1", clock)
    lease(table, "run-2", clock).take()
    first.abandon()
    assert lease(table, "run-3", clock).take()


def ignore(_: object) -> None:
    """A call made for its effect."""


# --- wake-ups ----------------------------------------------------------------------------------


def test_at_most_one_wake_up_is_ahead() -> None:
    table = MemoryTable()
    assert claim_wake(table, WEB, NOON_MS, 10)
    assert not claim_wake(table, WEB, NOON_MS, 10)
    assert not claim_wake(table, WEB, NOON_MS + 5_000, 60)


def test_an_earlier_wake_up_goes_before_a_later_one() -> None:
    table = MemoryTable()
    assert claim_wake(table, WEB, NOON_MS, 60)
    assert claim_wake(table, WEB, NOON_MS, 5)
    assert not claim_wake(table, WEB, NOON_MS, 60)


@pytest.mark.parametrize(("later_ms", "sent"), [(9_999, False), (10_000, True), (99_000, True)])
def test_once_a_wake_up_was_due_the_next_may_be_sent(later_ms: int, *, sent: bool) -> None:
    table = MemoryTable()
    assert claim_wake(table, WEB, NOON_MS, 10)
    assert claim_wake(table, WEB, NOON_MS + later_ms, 30) is sent


def test_a_wake_up_that_two_runs_want_is_sent_once() -> None:
    table = Interrupted()
    others: list[bool] = []
    table.before = (Put, lambda: others.append(claim_wake(table, WEB, NOON_MS, 10)))
    assert not claim_wake(table, WEB, NOON_MS, 10)
    assert others == [True]
