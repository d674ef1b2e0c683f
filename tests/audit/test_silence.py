"""Logs that should be there and aren't."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from triggerfish.audit.config import Audit, RuleChange
from triggerfish.audit.rule_files import built_in
from triggerfish.audit.silence import Heard, Silence, heard_of

NOW = datetime(2024, 5, 6, 12, 0, tzinfo=UTC)
RULES = [each.rule() for each in built_in()]


def hour(hours_ago: float) -> datetime:
    return NOW - timedelta(hours=hours_ago)


def silence(**settings: int) -> Silence:
    return Silence(RULES, Audit(**settings))  # type: ignore[arg-type]


def heard(*hours_ago: float, activity: tuple[float, ...] | None = None) -> Heard:
    found = heard_of(("connection", hour(each)) for each in hours_ago)
    for each in hours_ago if activity is None else activity:
        found.hear("activity", hour(each))
    return found


def titles(silence: Silence, heard: Heard) -> list[str]:
    return [each.title.partition(": ")[2] for each in silence.findings("shop", heard, NOW)]


def test_three_hours_without_a_connection_log_are_silence() -> None:
    assert titles(silence(), heard(5, 4, 2.9)) == []
    assert titles(silence(), heard(5, 4, 3)) == ["no connection log"]
    assert titles(silence(silence_after=6), heard(5, 4, 3)) == []


def test_the_same_silence_keeps_its_key_and_the_next_has_another() -> None:
    first = silence().findings("shop", heard(5, 4), NOW)[0]
    again = silence().findings("shop", heard(5, 4), NOW + timedelta(hours=1))[0]
    other = silence().findings("shop", heard(5, 4, 3.5), NOW)[0]
    assert first.key == again.key != other.key
    assert first.severity == "critical"


def test_activity_that_stops_is_told_only_while_connections_go_on() -> None:
    assert titles(silence(), heard(5, 4, 3, 2, 1, activity=(5, 4))) == [
        "no user activity log while connections go on"
    ]
    assert titles(silence(), heard(5, 4, 3, 2, 1, activity=(5, 4, 3, 2))) == []
    assert titles(silence(), heard(9, 8, 7, activity=(9,))) == ["no connection log"]


def test_activity_that_never_came_is_told_after_a_while() -> None:
    assert titles(silence(), heard(3, 2, 1, activity=())) == []
    (found,) = silence().findings("shop", heard(4, 3, 2, 1, activity=()), NOW)
    assert dict(found.facts)["Last log"] == "never"


def test_gap_is_told_once_a_late_file_is_unlikely() -> None:
    assert titles(silence(), heard(9, 8, 5, 4, 3, 2, 1)) == ["a gap in the hours"]
    assert titles(silence(), heard(6, 5, 4, 2, 1)) == ["a gap in the hours"]
    assert titles(silence(), heard(6, 5, 4, 3, 1)) == []
    (found,) = silence().findings("shop", heard(30, 10, *range(9, 0, -1)), NOW)
    assert dict(found.facts)["Hours"] == "19"
    assert dict(found.facts)["Missing"].endswith("11 more")


def test_minutes_that_vary_make_no_gap() -> None:
    assert titles(silence(), heard(4.02, 2.98, 2.01, 0.97)) == []


def test_a_cluster_that_was_never_heard_of() -> None:
    assert titles(silence(), Heard()) == []
    assert silence().never_heard("shop", hour(2), NOW) == []
    (found,) = silence().never_heard("shop", hour(5), NOW)
    assert dict(found.facts) == {"Last log": "never", "Expected since": "2024-05-06T07:00:00.000Z"}


def test_rule_that_is_off_says_nothing() -> None:
    off = Silence(RULES, Audit(rules={"silence": RuleChange(on=False)}))
    assert off.findings("shop", heard(5), NOW) == []


def test_what_is_kept_is_bounded() -> None:
    found = heard_of(("connection", hour(1_000 - n)) for n in range(1_000))
    assert len(found.connection) <= 4 * 24 + 1
    found = heard_of(("activity", NOW + timedelta(seconds=n)) for n in range(3_000))
    assert len(found.activity) == 2_000
    found.hear("user", NOW)
    found.hear("activity", found.activity[-1])
    assert len(found.activity) == 2_000
