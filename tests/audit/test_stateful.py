"""What is remembered is bounded, survives, follows event time and can't be flooded quietly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audit.test_evaluate import activity, change, connection
from triggerfish.audit import stateful
from triggerfish.audit.config import Audit
from triggerfish.audit.records import FileContext, Finding, Rows
from triggerfish.audit.rule_cases import row_of
from triggerfish.audit.rule_files import rule_set
from triggerfish.audit.stateful import Flags, Memory, Times

if TYPE_CHECKING:
    from triggerfish.audit.evaluate import RuleSet, RuleState

START = datetime(2024, 5, 6, 8, 0, tzinfo=UTC)
CONTEXT = FileContext(cluster="shop", file="file")
RULES = rule_set(Audit())


def row(seconds: float = 0, **changes: object) -> list[bytes]:
    return row_of(connection(at=START + timedelta(seconds=seconds), **changes))


def failure(seconds: float, user: str = "bob", host: str = "203.0.113.9") -> list[bytes]:
    return row(seconds, event="authentication failure", user=user, host=host)


def fed(rows: list[list[bytes]], state: RuleState, rules: RuleSet = RULES) -> list[Finding]:
    return rules.feed(Rows(rows=rows, offsets=list(range(len(rows)))), state, CONTEXT)


def told(findings: list[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


def test_a_burst_over_two_files_and_two_runs_is_one_finding() -> None:
    state = RULES.new_state()
    assert fed([failure(n) for n in range(7)], state) == []
    again = RULES.new_state(state.to_bytes())
    assert told(fed([failure(n) for n in range(7, 30)], again)) == ["brute-force"]
    assert fed([failure(n) for n in range(30, 60)], RULES.new_state(again.to_bytes())) == []


def test_a_second_burst_is_told_again() -> None:
    state = RULES.new_state()
    first = fed([failure(n) for n in range(12)], state)
    second = fed([failure(n + 7200) for n in range(12)], state)
    assert told(first) == told(second) == ["brute-force"]
    assert first[0].key == second[0].key


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(12)))
def test_the_order_of_files_changes_nothing(order: list[int]) -> None:
    state = RULES.new_state()
    findings = [f for n in order for f in fed([failure(n * 20)], state)]
    assert told(findings) == ["brute-force"]


ROWS = st.lists(
    st.tuples(
        st.integers(0, 4000),
        st.sampled_from(["authenticated", "authentication failure"]),
        st.sampled_from(["bob", "carol", "IAM:dave"]),
        st.sampled_from(["203.0.113.9", "10.0.0.1", "10.9.0.1"]),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, 60))
def test_how_many_rows_come_at_once_changes_nothing(
    rows: list[tuple[int, str, str, str]], size: int
) -> None:
    lines = [row(at, event=event, user=user, host=host) for at, event, user, host in rows]
    whole, parts = RULES.new_state(), RULES.new_state()
    together = RULES.feed(Rows(rows=lines, offsets=list(range(len(lines)))), whole, CONTEXT)
    apart = [
        f
        for at in range(0, len(lines), size)
        for f in RULES.feed(
            Rows(rows=lines[at : at + size], offsets=list(range(at, at + size))), parts, CONTEXT
        )
    ]
    assert together == apart
    assert whole.to_bytes() == parts.to_bytes()


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(0, 60))
def test_state_that_was_kept_is_as_good_as_new(
    rows: list[tuple[int, str, str, str]], cut: int
) -> None:
    lines = [row(at, event=event, user=user, host=host) for at, event, user, host in rows]
    state = RULES.new_state()
    straight = fed(lines[:cut], state) + fed(lines[cut:], state)
    first = RULES.new_state()
    before = fed(lines[:cut], first)
    second = RULES.new_state(first.to_bytes())
    assert told(before + fed(lines[cut:], second)) == told(straight)


def test_a_flood_of_names_and_addresses_is_told_and_stays_bounded() -> None:
    state = RULES.new_state()
    flood = [
        failure(n / 100, user=f"user{n}", host=f"2001:db8:{n:x}::1")
        for n in range(stateful.MOST_FAILED)
    ]
    findings = fed(flood, state)
    assert told(findings) == ["password-spray"]
    assert findings[0].key == "password-spray/shop/flood"
    assert len(state.of("shop").memory.failed) <= stateful.MOST_FAILED
    assert len(state.to_bytes()) < 1_500_000


def test_a_flood_does_not_hide_an_attack_on_a_real_account() -> None:
    """Names that never logged in are forgotten before those that did."""
    state = RULES.new_state()
    fed([row(0, user="bob")], state)
    fed([failure(n, host=f"198.51.100.{n}") for n in range(9)], state)
    fed([failure(10 + n / 100, user=f"x{n}", host="203.0.113.9") for n in range(20_000)], state)
    found = fed([failure(300, host="198.51.100.99")], state)
    assert [(f.rule, f.user) for f in found] == [("brute-force", "bob")]


def test_a_flood_of_accounts_that_log_in_is_bounded() -> None:
    state = RULES.new_state()
    fed([row(n / 10, user=f"u{n}", host=f"10.{n % 200}.0.1") for n in range(6_000)], state)
    fed([row(n, user="u", host=f"10.{n // 200}.{n % 200}.1") for n in range(6_000)], state)
    memory = state.of("shop").memory
    assert len(memory.accounts) <= stateful.MOST_ACCOUNTS
    assert len(memory.logins) <= stateful.MOST_ADDRESSES
    assert len(memory.accounts["u"].networks) <= stateful.MOST_NETWORKS
    assert len(memory.accounts["u"].hosts) <= stateful.MOST_HOSTS


def test_a_flood_of_failures_of_one_account_is_bounded() -> None:
    state = RULES.new_state()
    found = fed([failure(n / 10, host=f"10.0.{n % 100}.1") for n in range(3_000)], state)
    assert told(found).count("brute-force") >= 1
    assert len(state.of("shop").memory.failed["user bob"].at) <= stateful.MOST_TIMES


def test_one_attack_of_one_account_from_one_address_is_not_told_twice() -> None:
    assert told(fed([failure(n) for n in range(30)], RULES.new_state())) == ["brute-force"]


def test_a_large_state_is_written_smaller() -> None:
    memory = Memory()
    for n in range(1_000):
        memory.failed[f"user {n}"] = stateful.Failed(at=list(range(200)))
    stateful.shrink(memory)
    assert max(len(each.at) for each in memory.failed.values()) == 32


def test_a_login_after_midnight_is_looked_at_again() -> None:
    """A pair is passed over for the rest of its day only."""
    state = RULES.new_state()
    fed([row(0)], state)
    fed([row(86_400)], state)
    account = state.of("shop").memory.accounts["bob"]
    assert account.last - account.since == stateful.DAY_MS


def test_a_drop_is_seen_though_the_account_logged_in_before_that_day() -> None:
    state = RULES.new_state()
    fed([row(0)], state)
    RULES.evaluate(change(action="drop", at=START + timedelta(seconds=60)), state, CONTEXT)
    assert told(fed([row(120)], state)) == ["dormant-account"]


def test_rows_without_a_time_are_passed_over() -> None:
    broken = row(0)
    broken[1] = b"soon"
    assert fed([broken, [b"set application_name ", *row(0)[1:]]], RULES.new_state()) == []


def test_rows_that_were_cut_off_are_passed_over() -> None:
    state = RULES.new_state()
    cut = [row(0)[:fields] for fields in range(1, 8)]
    assert fed(cut, state) == []
    assert state.of("shop").join.remembered().sessions == {}


def test_statements_of_one_transaction_count_however_many_accounts_there_are() -> None:
    state = RULES.new_state()
    records = [activity(f"drop table t{n}", user=f"u{n}", xid=9) for n in range(20)]
    found = [f for each in records for f in RULES.evaluate(each, state, CONTEXT)]
    assert [dict(f.facts)["By"] for f in found] == ["transaction"]


def test_counted_transactions_are_bounded() -> None:
    state = RULES.new_state()
    for n in range(3_000):
        RULES.evaluate(
            activity("drop table t", xid=n, at=START + timedelta(hours=n)), state, CONTEXT
        )
    assert len(state.of("shop").memory.counted) <= stateful.MOST_COUNTED


def test_flags_of_an_account_are_those_before_the_moment() -> None:
    memory = Memory()
    stateful.add_change(memory, "bob", Flags(20, True, False, False))
    stateful.add_change(memory, "bob", Flags(10, False, False, False))
    stateful.add_change(memory, "bob", Flags(10, False, False, False))
    assert stateful.flags_before(memory, "bob", 10) is None
    assert stateful.flags_before(memory, "bob", 15) == Flags(10, False, False, False)
    assert stateful.flags_before(memory, "bob", 25) == Flags(20, True, False, False)
    for n in range(stateful.MOST_ACCOUNTS + 1):
        stateful.add_change(memory, f"u{n}", Flags(n, False, False, False))
    assert len(memory.changes) <= stateful.MOST_ACCOUNTS


def test_a_superuser_that_was_one_is_not_told_by_its_statement() -> None:
    state = RULES.new_state()
    RULES.evaluate(change(action="create", superuser=True), state, CONTEXT)
    later = START + timedelta(hours=1)
    found = RULES.evaluate(activity("alter user bob createuser", at=later, xid=9), state, CONTEXT)
    assert "superuser-granted" not in told(found)


def test_times_that_crowd() -> None:
    times = Times(at=[0, 10, 20, 1_000])
    assert times.crowd(10, 3, 20) == (0, 20)
    assert times.crowd(1_000, 2, 20) is None
    assert times.crowd(0, 5, 20) is None
    assert times.count(10, 20) == 2


def test_state_of_two_clusters_is_apart() -> None:
    state = RULES.new_state()
    other = FileContext(cluster="other", file="file")
    fed([failure(n) for n in range(6)], state)
    rows = Rows(rows=[failure(n) for n in range(6)], offsets=list(range(6)))
    assert RULES.feed(rows, state, other) == []
    assert fed([failure(n) for n in range(6, 10)], RULES.new_state(state.to_bytes()))
