"""What a config would have told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.audit.test_store import make_found
from triggerfish.audit.backtest import Mail, Terms, Told, mails, outcome, within

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def told(hours: float, **changes: object) -> Told:
    return Told(at=NOON + HOUR * hours, found=(make_found(**changes),))


def sent(*some: Told, **terms: object) -> list[tuple[float, int]]:
    """When each mail goes out, in hours, and how many findings are in it."""
    made = mails(some, Terms(**terms))  # type: ignore[arg-type]
    return [((mail.at - NOON) / HOUR, mail.count) for mail in made]


def test_the_first_goes_at_once_and_repeats_become_one_mail() -> None:
    some = [told(minute / 60) for minute in range(0, 50, 10)]
    assert sent(*some) == [(0, 1), (1, 4)]


def test_after_the_window_a_matter_goes_at_once_again() -> None:
    assert sent(told(0), told(2)) == [(0, 1), (2, 1)]


def test_the_end_of_a_window_begins_the_next() -> None:
    assert sent(told(0), told(0.5), told(1.5)) == [(0, 1), (1, 1), (2, 1)]


def test_critical_ones_never_wait_and_take_along_what_waits() -> None:
    some = [told(0), told(0.2), told(0.3, severity="critical"), told(0.4, severity="critical")]
    assert sent(*some) == [(0, 1), (0.3, 2), (0.4, 1)]


def test_what_is_less_severe_than_the_mail_takes_is_not_mailed() -> None:
    assert sent(told(0), told(0.1, severity="high", key="b"), least="high") == [(0.1, 1)]


def test_matters_are_mailed_apart() -> None:
    assert [mail.key for mail in mails([told(0), told(0, key="b")], Terms())] == [
        "audit/failed-login/shop/bob",
        "audit/b",
    ]


def test_a_mail_is_the_worst_findings() -> None:
    story = Told(
        at=NOON,
        found=(make_found(rule="brute-force", severity="high"), make_found(offset=1)),
    )
    assert list(mails([story], Terms())) == [
        Mail(at=NOON, key="audit/shop/198.51.100.7", rule="brute-force", count=2)
    ]


def test_a_rule_that_mails_more_than_once_a_day_is_noisy() -> None:
    some = [told(2 * n) for n in range(12)] + [told(24, rule="brute-force", key="b")]
    made = outcome(some, Terms(), files=3, records=100)
    assert (made.files, made.records, made.findings, made.mails, made.days) == (3, 100, 13, 13, 1.0)
    assert [(each.rule, each.mails, each.noisy) for each in made.rules] == [
        ("failed-login", 12, True),
        ("brute-force", 1, False),
    ]


def test_mails_beyond_the_limit_of_an_hour_are_counted() -> None:
    some = [told(0, key=str(n)) for n in range(40)]
    assert outcome(some, Terms(limit=30), files=1, records=1).held_back == 10


def test_nothing_found_is_nothing_mailed() -> None:
    made = outcome([], Terms(), files=0, records=0)
    assert (made.mails, made.rules) == (0, ())


def test_findings_outside_the_time_are_left_out() -> None:
    finding = make_found(at=NOON).finding
    assert within(finding, NOON, NOON + HOUR)
    assert not within(finding, NOON + HOUR, None)
    assert not within(finding, None, NOON)
    assert within(make_found().finding, NOON, NOON)
