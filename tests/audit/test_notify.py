"""From findings to what people are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.audit.world import make_finding
from triggerfish.audit.entries import id_of
from triggerfish.audit.notify import (
    MOST_MATTERS,
    finding_data,
    grouped,
    iso,
    notices_of,
    worst_first,
)
from triggerfish.notice import Notice
from triggerfish.runtime.notices import from_message, to_message

NOON = datetime(2026, 11, 24, 12, 0, 0, 177_000, tzinfo=UTC)


def burst(count: int) -> list[object]:
    return [make_finding(offset=100 * n, at=NOON + timedelta(seconds=n)) for n in range(count)]


def test_repeats_of_a_matter_are_one_with_its_count_and_the_last_time() -> None:
    (found,) = grouped(burst(12), found_at=NOON)  # type: ignore[arg-type]
    assert (found.count, found.finding.offset) == (12, 0)
    assert found.last_at == NOON + timedelta(seconds=11)


def test_a_finding_that_was_completed_takes_its_own_place() -> None:
    bare = make_finding(rule="user-changed", key="user-changed/shop/x", actor="")
    known = make_finding(rule="user-changed", key="user-changed/shop/x", actor="awsuser")
    (found,) = grouped([bare, known], found_at=NOON)
    assert (found.finding.actor, found.count) == ("awsuser", 1)


def test_ten_thousand_names_are_told_as_a_hundred_and_one_count() -> None:
    flood = [make_finding(key=f"failed-login/shop/{n}", offset=n) for n in range(10_000)]
    told = grouped([*flood, make_finding(rule="other", key="other/shop")], found_at=NOON)
    assert len(told) == MOST_MATTERS + 2
    assert told[MOST_MATTERS].finding.key == "failed-login/shop/many"
    assert told[MOST_MATTERS].count == 9_900
    assert told[-1].finding.rule == "other"


def test_what_is_read_again_has_the_same_id() -> None:
    assert id_of(make_finding()) == id_of(make_finding(title="Another title", actor="awsuser"))
    assert id_of(make_finding()) != id_of(make_finding(offset=1))


def test_a_long_statement_is_cut_and_says_so() -> None:
    (found,) = grouped([make_finding(statement="x" * 10_000)], found_at=NOON)
    assert found.finding.statement == "x" * 8_000 + "... (2000 more characters)"


# ---- notices ----


def test_a_finding_is_a_notice_of_its_own_matter() -> None:
    found = grouped(
        [
            make_finding(
                severity="high",
                title="A database user was dropped",
                at=NOON,
                actor="awsuser",
                application="psql",
                statement="DROP USER bob",
                offset=92,
                facts=(("Seen in", "user log"),),
            )
        ],
        found_at=NOON,
    )
    (notice,) = notices_of(found, {"failed-login": "Ask. Undo."})
    assert notice == Notice(
        key="audit/failed-login/shop/bob",
        severity="high",
        title="shop: A database user was dropped",
        facts=(
            ("Who", "awsuser"),
            ("From", "198.51.100.7"),
            ("Application", "psql"),
            ("Account concerned", "bob"),
            ("Cluster", "shop"),
            ("Database", "dev"),
            ("At", "2026-11-24T12:00:00.177Z"),
            ("Seen in", "user log"),
            ("Rule", "failed-login"),
            (
                "Log",
                (
                    "s3://example-audit-logs/AWSLogs/123456789012/redshift/eu-central-1/2026/11/24/"
                    "123456789012_redshift_eu-central-1_shop_connectionlog_2026-11-24T10:53.gz"
                    " at byte 92"
                ),
            ),
            ("What to do", "Ask. Undo."),
        ),
        evidence=("DROP USER bob",),
        trigger="audit",
        at=NOON,
        id=f"{found[0].id}/4",
    )


def test_what_came_from_one_address_is_one_story_and_the_worst_comes_first() -> None:
    found = grouped(
        [
            *burst(12),  # type: ignore[list-item]
            make_finding(
                rule="superuser-granted",
                severity="critical",
                title="An account became a superuser",
                key="superuser-granted/shop/mallory",
                user="mallory",
                actor="bob",
                at=NOON,
                statement="CREATE USER mallory CREATEUSER",
            ),
        ],
        found_at=NOON,
    )
    (notice,) = notices_of(found, {"superuser-granted": "Ask. Undo."})
    assert notice.key == "audit/shop/198.51.100.7"
    assert notice.severity == "critical"
    assert notice.title == "shop: An account became a superuser, and 1 more from there"
    assert notice.facts[:6] == (
        ("Who", "bob"),
        ("From", "198.51.100.7"),
        ("Cluster", "shop"),
        ("Database", "dev"),
        (
            "Finding 1",
            (
                "critical, 2026-11-24T12:00:00.177Z, An account became a superuser,"
                " account mallory, rule superuser-granted"
            ),
        ),
        (
            "Finding 2",
            (
                "low, 2026-11-24T12:00:00.177Z, A login failed, account bob, 12 times,"
                " rule failed-login"
            ),
        ),
    )
    assert notice.evidence == ("CREATE USER mallory CREATEUSER",)


def test_other_addresses_are_other_stories() -> None:
    some = [make_finding(), make_finding(key="b", source="192.0.2.9"), make_finding(key="c")]
    notices = notices_of(grouped(some, found_at=NOON), {})
    assert [notice.key for notice in notices] == [
        "audit/shop/198.51.100.7",
        "audit/b",
    ]


def test_what_has_neither_address_nor_actor_stays_alone() -> None:
    some = [make_finding(source="", key=key) for key in ("a", "b")]
    assert len(notices_of(grouped(some, found_at=NOON), {})) == 2


def test_a_story_told_again_is_the_same_notice_and_a_completed_one_is_news() -> None:
    bare, known = make_finding(actor=""), make_finding(actor="awsuser")
    ids = [
        notices_of(grouped([each], found_at=at), {})[0].id
        for each, at in ((bare, NOON), (bare, NOON + timedelta(hours=1)), (known, NOON))
    ]
    assert ids[0] == ids[1] != ids[2]


texts = st.text(max_size=200)


@given(texts, texts, texts, texts, texts)
def test_hostile_values_never_stop_a_notice(
    user: str, actor: str, source: str, application: str, statement: str
) -> None:
    finding = make_finding(
        user=user, actor=actor, source=source, application=application, statement=statement
    )
    other = make_finding(key="other", user=user, actor=actor, source=source)
    for notice in notices_of(grouped([finding, other], found_at=NOON), {}):
        assert from_message(to_message(notice)).severity == "low"


# ---- shown ----


def test_a_finding_as_data_has_exactly_these_keys() -> None:
    assert list(finding_data(make_finding(at=NOON))) == [
        "rule",
        "severity",
        "title",
        "at",
        "cluster",
        "database",
        "user",
        "actor",
        "source",
        "application",
        "statement",
        "file",
        "offset",
    ]
    assert finding_data(make_finding(at=NOON))["at"] == "2026-11-24T12:00:00.177Z"
    assert finding_data(make_finding())["at"] is None


def test_times_have_milliseconds() -> None:
    assert iso(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05.000Z"


def test_the_worst_is_read_first() -> None:
    some = [make_finding(severity=each) for each in ("low", "critical", "medium", "high")]
    assert [each.severity for each in worst_first(some)] == ["critical", "high", "medium", "low"]
