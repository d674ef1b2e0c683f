from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.notices.hostile import notices
from tests.notices.world import make_notice
from triggerfish.notices.digest import (
    Kept,
    Memory,
    Top,
    due_ms,
    remembered,
    summarise,
    thread_of,
)
from triggerfish.runtime.notices import fit

if TYPE_CHECKING:
    from triggerfish.notice import Notice

NOON_MS = 1_795_521_600_000
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOUR_MS = 3_600_000


def kept(*of: Notice, every_ms: int = 60_000) -> list[Kept]:
    return [
        Kept(sk=f"item#{n}", at_ms=NOON_MS + n * every_ms, notice=notice)
        for n, notice in enumerate(of)
    ]


def by(user: str, address: str = "198.51.100.7", **changes: object) -> Notice:
    return make_notice(facts=(("User", user), ("Address", address)), **changes)


def told(*of: Notice, at_ms: int = NOON_MS) -> Memory:
    """What is remembered once these were told."""
    digest = summarise(kept(*of), Memory())
    return remembered(Memory(), digest, of, told_ms=at_ms, parcel="p1")


def test_one_notice_is_told_as_it_is() -> None:
    digest = summarise(kept(by("bob")), Memory())
    assert (digest.count, digest.total, digest.told) == (1, 1, None)
    assert (digest.first, digest.last) == (NOON, NOON)
    assert (digest.top, digest.new) == ((), ())
    assert digest.samples == (by("bob"),)


def test_many_are_told_with_count_times_and_top_values() -> None:
    digest = summarise(kept(*[by("bob")] * 3, by("eve"), by("bob", "203.0.113.9")), Memory())
    assert digest.count == 5
    assert digest.first == NOON
    assert digest.last == datetime(2026, 11, 24, 12, 4, tzinfo=UTC)
    assert digest.top == (
        Top(label="User", values=(("bob", 4), ("eve", 1)), more=0),
        Top(label="Address", values=(("198.51.100.7", 4), ("203.0.113.9", 1)), more=0),
    )


def test_of_many_values_the_most_frequent_are_told_and_the_rest_counted() -> None:
    digest = summarise(kept(by("bob"), *(by(f"u{n}") for n in range(9)), by("bob")), Memory())
    assert digest.top[0] == Top(
        label="User", values=(("bob", 2), ("u8", 1), ("u7", 1), ("u6", 1), ("u5", 1)), more=5
    )


def test_what_is_new_is_what_no_earlier_message_told() -> None:
    digest = summarise(kept(by("bob"), by("eve", "203.0.113.9")), told(by("bob")))
    assert digest.new == (("User", ("eve",), 0), ("Address", ("203.0.113.9",), 0))


def test_of_much_that_is_new_the_latest_is_told_and_the_rest_counted() -> None:
    digest = summarise(kept(*(by(f"u{n:02}") for n in range(12))), told(by("bob")))
    assert digest.new == (
        ("User", ("u11", "u10", "u09", "u08", "u07", "u06", "u05", "u04", "u03", "u02"), 2),
    )


def test_the_first_message_has_nothing_new() -> None:
    assert summarise(kept(by("bob"), by("eve")), Memory()).new == ()


def test_times_are_those_of_the_events_in_whatever_order_they_came() -> None:
    late, early = kept(by("bob"), by("eve"))
    digest = summarise([early, late], Memory())
    assert (digest.first, digest.last) == (NOON, datetime(2026, 11, 24, 12, 1, tzinfo=UTC))
    assert digest.samples[0] == by("eve")


def test_the_digest_is_as_severe_as_its_worst_notice() -> None:
    digest = summarise(
        kept(by("a"), by("b", severity="critical", title="Worse"), by("c", severity="low")),
        Memory(),
    )
    assert (digest.severity, digest.title) == ("critical", "Worse")


def test_totals_go_on_in_a_thread_and_begin_anew_in_the_next_incident() -> None:
    memory = told(by("bob"), by("bob"))
    assert summarise(kept(by("bob")), memory).total == 3
    other = summarise(kept(by("bob", incident_start=NOON)), memory)
    assert (other.total, other.mails, other.mail_ids) == (1, 0, ())
    assert other.thread != summarise(kept(by("bob")), memory).thread


def test_a_thread_is_named_by_key_and_incident_alone() -> None:
    assert thread_of("a", NOON) == thread_of("a", NOON)
    assert len({thread_of("a", NOON), thread_of("a", None), thread_of("b", NOON)}) == 3


# --- when --------------------------------------------------------------------------------------


def test_the_first_of_a_matter_is_due_at_once() -> None:
    assert due_ms(kept(by("bob")), Memory(), HOUR_MS) == 0


def test_repeats_are_due_a_window_after_the_last_message() -> None:
    assert due_ms(kept(by("bob")), told(by("bob")), HOUR_MS) == NOON_MS + HOUR_MS


def test_critical_never_waits() -> None:
    some = kept(by("bob"), by("bob", severity="critical"))
    assert due_ms(some, told(by("bob")), HOUR_MS) == 0


def test_a_new_incident_does_not_wait() -> None:
    memory = told(by("bob", incident_start=NOON))
    again = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
    assert due_ms(kept(by("bob", incident_start=again)), memory, HOUR_MS) == 0
    assert due_ms(kept(by("bob", incident_start=NOON)), memory, HOUR_MS) == NOON_MS + HOUR_MS
    assert due_ms(kept(by("bob")), memory, HOUR_MS) == NOON_MS + HOUR_MS


@given(st.lists(notices(st.just("k")), min_size=1, max_size=6))
def test_any_notices_make_a_digest_that_is_remembered(some: list[Notice]) -> None:
    fitted = [fit(notice) for notice in some]
    digest = summarise(kept(*fitted), Memory())
    memory = remembered(Memory(), digest, fitted, told_ms=NOON_MS, parcel="p")
    assert digest.count == len(some)
    assert summarise(kept(*fitted), memory).count == len(some)
    assert all(len(values) <= 300 for values in memory.known.values())
    assert len(memory.known) <= 12
