from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.notices.world import make_channel, make_settings
from triggerfish.notice import SEVERITIES
from triggerfish.notices.outbox import (
    Attempts,
    Candidate,
    Parcel,
    Part,
    after_failure,
    after_success,
    make_parcel,
    parts_for,
    plan,
    uncovered,
)

NOW = 1_795_521_600_000
HOUR = 3_600_000


def due(matter: str = "a", severity: str = "high", **changes: object) -> Candidate:
    settings: dict[str, object] = {
        "matter": matter,
        "count": 1,
        "severity": severity,
        "trigger": "audit",
        "due_ms": 0,
        **changes,
    }
    return Candidate(**settings)  # type: ignore[arg-type]


def groups(*of: Candidate, sent: int = 0, limit: int = 5) -> list[list[str]]:
    decided = plan(of, [NOW - 1000] * sent, limit, NOW)
    return [[one.matter for one in group] for group, _ in decided.parcels]


# --- the limit ---------------------------------------------------------------------------------


def test_each_matter_has_its_own_message_while_there_is_room() -> None:
    assert groups(due("a"), due("b")) == [["a"], ["b"]]


def test_the_last_message_of_the_hour_takes_all_that_is_left() -> None:
    assert groups(due("a"), due("b"), due("c"), due("d"), limit=3) == [["a"], ["b"], ["c", "d"]]
    assert groups(due("a"), due("b"), sent=4) == [["a", "b"]]


def test_beyond_the_limit_all_is_held_until_the_hour_has_room() -> None:
    decided = plan([due("a", count=7)], [NOW - 600_000, *[NOW - 1000] * 4], 5, NOW)
    assert decided.parcels == ()
    assert [one.matter for one in decided.held] == ["a"]
    assert decided.held_until_ms == NOW - 600_000 + HOUR


def test_what_went_out_an_hour_ago_no_longer_counts() -> None:
    decided = plan([due("a")], [NOW - HOUR] * 5, 5, NOW)
    assert len(decided.parcels) == 1


def test_critical_ones_go_beyond_the_limit_and_tell_how_many_wait() -> None:
    decided = plan([due("a", count=3), due("b", "critical"), due("c", count=4)], [NOW] * 5, 5, NOW)
    assert [[one.matter for one in group] for group, _ in decided.parcels] == [["b"]]
    assert decided.parcels[0][1] == 7


def test_critical_ones_count() -> None:
    assert groups(due("a", "critical"), due("b"), due("c"), limit=2) == [["a"], ["b", "c"]]


def test_the_most_severe_goes_first_then_what_waited_longest() -> None:
    some = (due("a", "low"), due("b", due_ms=9), due("c", due_ms=1), due("d", "critical"))
    assert groups(*some) == [["d"], ["c"], ["b"], ["a"]]


def test_one_message_holds_no_more_than_200_matters() -> None:
    decided = plan([due(f"{n}") for n in range(205)], [NOW] * 4, 5, NOW)
    assert [len(group) for group, _ in decided.parcels] == [200]
    assert len(decided.held) == 5


@given(
    st.lists(st.sampled_from(SEVERITIES), max_size=12),
    st.lists(st.integers(NOW - 2 * HOUR, NOW), max_size=12),
    st.integers(2, 6),
)
def test_every_matter_is_sent_or_held_and_the_limit_holds(
    severities: list[str], sent: list[int], limit: int
) -> None:
    candidates = [due(f"{n}", severity) for n, severity in enumerate(severities)]
    decided = plan(candidates, sent, limit, NOW)
    out = [one.matter for group, _ in decided.parcels for one in group]
    assert sorted([*out, *(one.matter for one in decided.held)]) == sorted(
        one.matter for one in candidates
    )
    recent = sum(at > NOW - HOUR for at in sent)
    critical = severities.count("critical")
    assert len(decided.parcels) - critical <= max(0, limit - recent - critical)
    assert all(one.severity != "critical" for one in decided.held)
    if decided.held:
        assert NOW < decided.held_until_ms <= NOW + HOUR


# --- routes ------------------------------------------------------------------------------------

SLACK = make_channel("slack", severity="high", triggers=("audit",))
PAGER = make_channel("pager", severity="critical")
ROUTED = make_settings(channels=(SLACK, PAGER), severity="low")


@pytest.mark.parametrize(
    ("candidate", "channels"),
    [
        (due("a", "low"), ("mail",)),
        (due("a", "high"), ("mail", "slack")),
        (due("a", "critical"), ("mail", "slack", "pager")),
        (due("a", "critical", trigger="provision"), ("mail", "pager")),
        (due("a", "info"), ("mail",)),
        (due("a", "info", trigger="notices"), ("mail", "slack", "pager")),
    ],
)
def test_notices_go_by_severity_and_trigger(
    candidate: Candidate, channels: tuple[str, ...]
) -> None:
    """What no channel asked for goes to the first; what notices say of themselves, to all."""
    assert make_parcel("p", [candidate], ROUTED, waiting=0).channels == channels


def test_a_channel_is_told_only_its_own_part_of_a_message_of_many() -> None:
    parcel = make_parcel("p", [due("a", "low"), due("b", "high")], ROUTED, waiting=0)
    assert [part.matter for part in parts_for("mail", parcel, ROUTED)] == ["a", "b"]
    assert [part.matter for part in parts_for("slack", parcel, ROUTED)] == ["b"]


def test_what_the_limit_held_is_counted() -> None:
    held = due("a", count=5, held_since_ms=NOW - 7)
    parcel = make_parcel("p", [held, due("b", count=2)], ROUTED, waiting=9)
    assert (parcel.held, parcel.held_since_ms, parcel.waiting) == (5, NOW - 7, 9)


# --- failure -----------------------------------------------------------------------------------


def parcel_of(*channels: str) -> Parcel:
    part = Part(matter="a", severity="high", trigger="audit")
    return Parcel(id="p", parts=(part,), channels=channels)


def failed(parcel: Parcel, name: str, times: int, *, refused: bool) -> Parcel:
    for _ in range(times):
        parcel = after_failure(parcel, name, "no", ROUTED, now_ms=NOW, refused=refused)
    return parcel


def test_a_failure_is_tried_again_after_growing_pauses() -> None:
    parcel = failed(parcel_of("mail"), "mail", 1, refused=True)
    assert parcel.attempts == {"mail": Attempts(count=1, again_ms=NOW + 5_000, reason="no")}
    assert failed(parcel, "mail", 1, refused=True).attempts["mail"].again_ms == NOW + 20_000


@pytest.mark.parametrize(("refused", "tries"), [(True, 3), (False, 4)])
def test_then_the_next_channel_takes_its_place(*, refused: bool, tries: int) -> None:
    before = failed(parcel_of("mail"), "mail", tries - 1, refused=refused)
    assert before.open == ("mail",)
    after = failed(before, "mail", 1, refused=refused)
    assert (after.failed, after.open) == ({"mail": "no"}, ("slack",))


def test_where_no_channel_is_left_an_outage_is_borne_for_an_hour() -> None:
    parcel = parcel_of("mail", "slack", "pager")
    parcel = failed(parcel, "mail", 11, refused=False)
    assert "mail" in parcel.open
    assert parcel.attempts["mail"].again_ms == NOW + 600_000
    assert "mail" in failed(parcel, "mail", 1, refused=False).failed


def test_what_nobody_took_is_uncovered() -> None:
    parcel = failed(parcel_of("mail", "slack", "pager"), "mail", 12, refused=False)
    assert uncovered(parcel, ROUTED) == parcel.parts
    assert uncovered(after_success(parcel, "slack", "sent"), ROUTED) == ()


def test_a_part_that_only_the_failed_channel_wanted_is_uncovered() -> None:
    parcel = make_parcel("p", [due("a", "low"), due("b", "high")], ROUTED, waiting=0)
    took = after_success(failed(parcel, "mail", 4, refused=False), "slack", "sent")
    assert [part.matter for part in uncovered(took, ROUTED)] == ["a"]
