"""A finding is told at once, and completed by the other logs in whatever order they arrive."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from tests.audit.test_evaluate import activity, change, connection
from triggerfish.audit import join as joining
from triggerfish.audit.config import Audit
from triggerfish.audit.records import FileContext, Rows
from triggerfish.audit.rule_cases import row_of
from triggerfish.audit.rule_files import rule_set
from triggerfish.durations import Duration

if TYPE_CHECKING:
    from triggerfish.audit.evaluate import RuleState
    from triggerfish.audit.records import Finding, Record

START = datetime(2024, 5, 6, 8, 0, tzinfo=UTC)
CONTEXT = FileContext(cluster="shop", file="file")
RULES = rule_set(Audit(join_window=Duration(3600)))
CREATED = change(action="create", user="mallory", pid=14888, xid=1080, file="userlog")
STATEMENT = activity(
    "CREATE USER mallory PASSWORD 'Hunter2'", user="awsuser", pid=14888, xid=1080, file="activity"
)
SESSION = connection(
    user="awsuser", pid=14888, at=START - timedelta(minutes=2), host="::ffff:203.0.113.9",
    application="psql", driver="libpq", file="connection",
)  # fmt: skip


def given(record: Record, state: RuleState) -> list[Finding]:
    return [f for f in RULES.evaluate(record, state, CONTEXT) if f.rule == "user-changed"]


def later(**delta: float) -> datetime:
    return START + timedelta(**delta)


@pytest.mark.parametrize("order", list(permutations([CREATED, STATEMENT, SESSION])))
@pytest.mark.parametrize("kept", [True, False], ids=["each in a run of its own", "in one run"])
def test_three_logs_in_any_order_end_as_one_finding(
    order: tuple[Record, ...],
    kept: bool,  # noqa: FBT001
) -> None:
    state = RULES.new_state()
    found: list[Finding] = []
    for record in order:
        found += given(record, state)
        state = RULES.new_state(state.to_bytes()) if kept else state
    assert len({(f.rule, f.key, f.file, f.offset) for f in found}) == 1
    last = found[-1]
    assert (last.user, last.actor, last.source) == ("mallory", "awsuser", "203.0.113.9")
    assert (last.application, last.statement) == ("psql", "CREATE USER mallory PASSWORD '***'")
    assert dict(last.facts)["Client"] == "libpq"


def test_what_is_known_is_told_at_once() -> None:
    state = RULES.new_state()
    (first,) = given(CREATED, state)
    assert (first.user, first.actor, first.statement, first.source) == ("mallory", "", "", "")
    (second,) = given(STATEMENT, state)
    assert (second.actor, second.source) == ("awsuser", "")
    (third,) = given(SESSION, state)
    assert third.source == "203.0.113.9"
    assert given(SESSION, state) == given(STATEMENT, state) == []


def test_the_session_alone_says_who_it_probably_was() -> None:
    state = RULES.new_state()
    given(SESSION, state)
    (found,) = given(CREATED, state)
    assert (found.actor, found.source) == ("awsuser", "203.0.113.9")


def test_a_session_in_bulk_rows_completes_too() -> None:
    state = RULES.new_state()
    given(STATEMENT, state)
    rows = Rows(rows=[row_of(SESSION)], offsets=[0])
    found = [f for f in RULES.feed(rows, state, CONTEXT) if f.rule == "user-changed"]
    assert [f.source for f in found] == ["203.0.113.9"]
    (after,) = given(change(action="drop", user="bob", pid=14888, xid=2000), state)
    assert after.source == "203.0.113.9"


def test_a_change_that_a_procedure_made_is_found_by_its_transaction() -> None:
    state = RULES.new_state()
    given(CREATED, state)
    call = activity("CALL make_users()", user="eve", pid=14888, xid=1080)
    (found,) = given(call, state)
    assert (found.actor, found.statement) == ("eve", "CALL make_users()")
    (better,) = given(activity("create user mallory", user="eve", pid=14888, xid=1080), state)
    assert better.statement == "create user mallory"
    assert given(call, state) == []


def test_another_transaction_or_session_completes_nothing() -> None:
    state = RULES.new_state()
    given(CREATED, state)
    assert given(activity("select 1", pid=14888, xid=1081), state) == []
    assert given(activity("select 1", pid=1, xid=1080), state) == []
    wrong = (
        connection(user="awsuser", pid=14888, at=later(minutes=5)),
        connection(user="awsuser", pid=14888, at=later(hours=-2)),
        connection(user="awsuser", pid=14888, at=None),
        connection(user="awsuser", pid=None),
        connection(user="awsuser", pid=14888, event="authentication failure"),
        connection(user="awsuser", pid=14888, event="disconnecting session"),
    )
    assert [f for each in wrong for f in given(each, state)] == []


def test_a_reused_pid_takes_the_latest_session_before() -> None:
    state = RULES.new_state()
    given(STATEMENT, state)
    early = connection(user="awsuser", pid=14888, at=later(minutes=-30), host="203.0.113.1")
    assert [f.source for f in given(early, state)] == ["203.0.113.1"]
    assert [f.source for f in given(SESSION, state)] == ["203.0.113.9"]
    assert given(early, state) == []
    other = connection(user="carol", pid=14888, at=later(minutes=-1), host="203.0.113.7")
    assert given(other, state) == []


def test_a_forged_record_names_nobody_for_good() -> None:
    state = RULES.new_state()
    given(CREATED, state)
    forged = activity("create user mallory", user="innocent", pid=14888, xid=1080, verified=False)
    assert [dict(f.facts).get("Origin", "")[:10] for f in RULES.evaluate(forged, state, CONTEXT)
            if f.file == "userlog"] == ["unverified"]  # fmt: skip
    completed = [f for f in RULES.evaluate(STATEMENT, state, CONTEXT) if f.file == "userlog"]
    assert completed[-1].actor == "awsuser"
    assert "Origin" not in dict(completed[-1].facts)


def test_a_forged_record_does_not_take_the_place_of_the_true_one() -> None:
    state = RULES.new_state()
    given(STATEMENT, state)
    forged = activity("create user mallory", user="innocent", pid=14888, xid=1080, verified=False)
    given(forged, state)
    (found, *_) = given(CREATED, state)
    assert found.actor == "awsuser"


def test_after_the_window_nothing_is_completed() -> None:
    state = RULES.new_state()
    given(CREATED, state)
    given(activity("drop user x", at=later(hours=3), pid=1, xid=1), state)
    assert [f.file for f in given(STATEMENT, state)] == ["activity"]


def test_what_waits_is_what_other_files_are_searched_for() -> None:
    state = RULES.new_state()
    assert not RULES.completing(state, "shop").is_needed
    given(CREATED, state)
    completing = RULES.completing(state, "shop")
    assert completing.is_needed
    line = b"|".join(row_of(SESSION))
    head = (
        b"'2024-05-06T08:00:00Z UTC [ db=dev user=awsuser pid=14888 userid=100 xid=1080 ]' LOG: x"
    )
    for kind, raw in (("connection", line), ("activity", head)):
        (pattern,) = completing.prefilter(kind)  # type: ignore[arg-type]
        expression = re.compile(pattern, re.IGNORECASE | re.MULTILINE | re.DOTALL)
        assert expression.search(raw)
        assert not expression.search(raw.replace(b"14888", b"148889"))
    assert completing.prefilter("user") == completing.feeds("connection") == ()
    assert completing.feed(Rows(rows=[], offsets=[]), state, CONTEXT) == []
    assert [f.actor for f in completing.evaluate(STATEMENT, state, CONTEXT)] == ["awsuser"]
    assert [f.source for f in completing.evaluate(SESSION, state, CONTEXT)] == ["203.0.113.9"]
    assert not RULES.completing(state, "shop").is_needed


def test_what_is_remembered_is_bounded() -> None:
    state = RULES.new_state()
    for n in range(3_000):
        given(activity(f"drop user u{n}", pid=n, xid=n), state)
        given(connection(pid=n), state)
    kept = state.of("shop").join.remembered()
    assert len(kept.waiting) <= joining.MOST_WAITING
    assert len(kept.heads) <= joining.MOST_HEADS
    assert len(kept.sessions) <= joining.MOST_SESSIONS


def test_sessions_are_known() -> None:
    state = RULES.new_state()
    given(SESSION, state)
    join = state.of("shop").join
    assert join.knows_session(14888, "AWSUSER")
    assert not join.knows_session(14888, "eve")
    assert not join.knows_session(1, "awsuser")
    assert join.contradicts(activity("x", user="eve", pid=14888))
    assert not join.contradicts(activity("x", user="eve", pid=14888, at=later(days=3)))
    assert not join.contradicts(activity("x", user="eve", pid=None))


def test_no_secret_is_remembered() -> None:
    state = RULES.new_state()
    given(STATEMENT, state)
    given(activity("copy t credentials 'aws_secret_access_key=Hunter2'", pid=1, xid=1), state)
    assert b"Hunter2" not in state.to_bytes()
