"""All rules over one record; and what they find, the prefilter finds before them."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triggerfish.audit.conditions import OfficeHours, matches_glob
from triggerfish.audit.config import Audit, RuleChange
from triggerfish.audit.evaluate import RuleSet
from triggerfish.audit.networks import Networks, address_of, is_local, network_of
from triggerfish.audit.parse import connection_record
from triggerfish.audit.records import (
    ActivityRecord,
    ConnectionRecord,
    FileContext,
    Finding,
    ParseProblem,
    Rows,
    UserRecord,
)
from triggerfish.audit.rule_cases import row_of
from triggerfish.audit.rule_files import built_in, load, rule_set
from triggerfish.audit.rules import PRIVATE_NETWORKS, record_rules_only
from triggerfish.audit.trail import calls_in

CONTEXT = FileContext(cluster="shop", file="file")
AT = datetime(2024, 5, 6, 8, 0, tzinfo=UTC)
ALL_LISTS = Audit(
    sensitive_tables=("cards", "shop.customers", "tmp_*_pii"),
    protected_objects=("shop.orders", "ledger"),
    unload_buckets=("example-exports",),
    trusted_users=("billing",),
    bucket="example-audit",
    office_hours="08:00-18:00",
)
RULES = rule_set(ALL_LISTS)
RECORD_RULES = record_rules_only(tuple(each.rule() for each in built_in()))
FLAGS = re.IGNORECASE | re.MULTILINE | re.DOTALL


def connection(**changes: object) -> ConnectionRecord:
    fields: dict[str, object] = {
        "event": "authenticated", "at": AT, "host": "10.0.0.1", "port": "1", "pid": 5,
        "database": "dev", "user": "bob", "auth_method": "password", "duration_us": 0,
        "ssl_version": "TLSv1.3", "ssl_cipher": "", "iam_guid": "", "application": "",
        "os_version": "", "driver": "", "plugin": "", "session": "", "file": "file", "offset": 0,
    }  # fmt: skip
    return ConnectionRecord(**{**fields, **changes})  # type: ignore[arg-type]


def activity(statement: str, **changes: object) -> ActivityRecord:
    fields: dict[str, object] = {
        "at": AT, "database": "dev", "user": "eve", "pid": 5, "user_id": 100, "xid": 7,
        "verified": True, "file": "file", "offset": 0, "statement": statement,
    }  # fmt: skip
    return ActivityRecord(**{**fields, **changes})  # type: ignore[arg-type]


def change(**changes: object) -> UserRecord:
    fields: dict[str, object] = {
        "user_id": 100, "user": "bob", "old_user": "", "action": "alter", "create_db": False,
        "superuser": False, "catalog_update": False, "valid_until": "", "pid": 5, "xid": 7,
        "at": AT, "file": "user", "offset": 0,
    }  # fmt: skip
    return UserRecord(**{**fields, **changes})  # type: ignore[arg-type]


def evaluated(
    rules: RuleSet, *records: ConnectionRecord | ActivityRecord | UserRecord
) -> list[Finding]:
    state = rules.new_state()
    return [f for record in records for f in rules.evaluate(record, state, CONTEXT)]


def matched(patterns: tuple[bytes, ...], raw: bytes) -> bool:
    return any(re.compile(each, FLAGS).search(raw) for each in patterns)


# ---- what the prefilter has to find ----

PHRASES = [
    "create user mallory", "drop user if exists bob, carol", "alter user a rename to b",
    "alter user bob createuser", "create user x createdb", "alter user b password 'x'",
    "alter user b valid until 'infinity'", "alter user b syslog access unrestricted",
    "grant all on t to bob", "grant all privileges on t to bob", "grant select on t to public",
    "grant select on t to a, public", "grant select on t to b with grant option",
    "grant role sys:superuser to bob", 'grant role "sys:superuser" to bob',
    "grant select on stl_userlog to bob", "revoke select on table pg_catalog . pg_shadow from bob",
    "delete from audit.log", "truncate audit . x", "alter system set a to b",
    "set log_statement to none", "reset enable_user_activity_logging",
    "unload ('select 1') to 's3://elsewhere/x'",
    "unload ('select * from cards') to 's3://example-exports/x'",
    "copy t from 's3://x' credentials 'aws_access_key_id=a;aws_secret_access_key=b'",
    "copy t access_key_id 'a'", "select 'AKIAIOSFODNN7EXAMPLE'", "drop table shop.orders",
    "drop schema ledger", "truncate shop.orders", "select * from cards",
    'select * from "shop" . "Customers"', "select * from tmp_1_pii", "create datashare x",
    "alter datashare x add schema y", "grant usage on datashare x to account '1'",
    "create external schema x", "create or replace external function f()",
    "create function f()", "create or replace library l", "create model m",
    "select pg_terminate_backend(1)", "cancel 12", "create role r", "revoke x from y",
]  # fmt: skip
GAPS = st.sampled_from(
    [" ", "\n", "\t", "  ", "/**/", " /* a */ ", " -- x\n", "/* /* */ */", "\r\n"]
)
WRAPS = st.sampled_from(
    [
        "{}",
        "begin; {}; commit",
        "select 'a'; {}",
        "/* x */ {} -- y",
        "create procedure p() as $$ begin {}; end $$ language plpgsql",
        "execute $q${}$q$",
        "select 'it''s'; {}",
        r"select '\'; {}; --'",
        "/* /* */ {}",
    ]
)


@st.composite
def statements(draw: st.DrawFn) -> str:
    phrase = draw(st.sampled_from(PHRASES))
    words = phrase.split(" ")
    text = words[0]
    for word in words[1:]:
        text += draw(GAPS) + word
    text = "".join(c.upper() if draw(st.booleans()) else c for c in text)
    return draw(WRAPS).replace("{}", text)


@settings(max_examples=300, deadline=None)
@given(statements())
def test_whatever_is_found_in_a_statement_the_prefilter_finds(statement: str) -> None:
    findings = evaluated(RULES, activity(statement))
    if findings:
        assert matched(RULES.prefilter("activity"), statement.encode())


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PHRASES), st.data())
def test_text_that_is_put_together_and_run_is_found(phrase: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(phrase) - 1))
    halves = [half.replace("'", "''") for half in (phrase[:at], phrase[at:])]
    statement = f"execute{data.draw(GAPS)}'{halves[0]}' || '{halves[1]}'"
    if evaluated(RULES, activity(statement)):
        assert matched(RULES.prefilter("activity"), statement.encode())


@pytest.mark.parametrize("phrase", PHRASES)
def test_each_phrase_is_found_plain_and_hidden(phrase: str) -> None:
    night = AT.replace(hour=3)
    plain = {f.rule for f in evaluated(RULES, activity(phrase, at=night))}
    assert plain
    hidden = "select 1;\n/* /* */ */" + phrase.replace(" ", "/* */ -- x\n").upper() + ";"
    targets = {"unload-outside"} if "s3" in phrase else set()  # the target is in capitals, too
    assert plain - targets <= {f.rule for f in evaluated(RULES, activity(hidden, at=night))}


HOSTS = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=4).map(lambda each: f"::ffff:{each}"),
    st.sampled_from(
        ["[local]", "::1", "127.0.0.1", "10.1.2.3", "172.16.0.1", "172.32.0.1", "192.168.1.1",
         "192.169.0.1", "10.example.com", "host.example.com", "fe80::1%eth0", "100.64.0.1"]
    ),
)  # fmt: skip
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="|\n"), max_size=12)


@st.composite
def connections(draw: st.DrawFn) -> bytes:
    pad = st.sampled_from(["", " ", "  "])
    event = draw(
        st.sampled_from(["authenticated", "authentication failure", "disconnecting session"])
    )
    cells = [
        event, "Mon, 6 May 2024 08:00:00:000", draw(HOSTS), "1", "5", "dev",
        draw(st.one_of(CELLS, st.sampled_from(["awsuser", "IAM:admin", "IAMR:root", "AWSUSER"]))),
        "password", "0", draw(st.sampled_from(["", "TLSv1", "TLSv1.1", "TLSv1.2", "SSLv3", "x"])),
        "", "0", "", "", "", draw(CELLS),
    ]  # fmt: skip
    return "|".join(cell + draw(pad) for cell in cells).encode()


@settings(max_examples=500, deadline=None)
@given(
    connections(),
    st.sampled_from([(), ("198.51.100.0/25", "10.1.0.0/16"), ("0.0.0.0/0",), ("203.0.113.7",)]),
)
def test_whatever_is_found_in_a_connection_the_prefilter_finds(
    line: bytes, networks: tuple[str, ...]
) -> None:
    rules = RuleSet(RECORD_RULES, Audit(allowed_networks=networks))
    record = connection_record(line.split(b"|"), "file", 0)
    if evaluated(rules, record):
        assert matched(rules.prefilter("connection"), line)


@settings(max_examples=300, deadline=None)
@given(st.lists(connections(), min_size=1, max_size=8))
def test_record_rules_find_the_same_with_and_without_those_that_remember(
    lines: list[bytes],
) -> None:
    alone, together = RuleSet(RECORD_RULES, Audit()), rule_set(Audit())
    ours = {rule.id for rule in RECORD_RULES}
    found: dict[RuleSet, list[Finding]] = {alone: [], together: []}
    for rules in found:
        state = rules.new_state()
        for offset, line in enumerate(lines * 2):
            record = connection_record(line.split(b"|"), "file", offset)
            found[rules] += rules.evaluate(record, state, CONTEXT)
            if any(re.search(feed, line, FLAGS) for feed in rules.feeds("connection")):
                rows = Rows(rows=[line.split(b"|", 7)], offsets=[offset])
                found[rules] += [f for f in rules.feed(rows, state, CONTEXT) if f.rule in ours]
    keys = [sorted((f.rule, f.offset) for f in findings) for findings in found.values()]
    assert keys[0] == keys[1]


@settings(max_examples=200, deadline=None)
@given(connections())
def test_whatever_changes_what_is_remembered_is_fed(line: bytes) -> None:
    state = RULES.new_state()
    RULES.feed(Rows(rows=[line.split(b"|", 7)], offsets=[0]), state, CONTEXT)
    memory = state.of("shop").memory
    if memory.accounts or memory.failed:
        is_local_failure = is_local(connection_record(line.split(b"|"), "", 0).host)
        assert is_local_failure or matched(RULES.feeds("connection"), line)


def test_patterns_keep_to_what_a_scan_can_read() -> None:
    patterns = [
        each for kind in ("connection", "user", "activity") for each in RULES.prefilter(kind)
    ]
    assert not [each for each in patterns if re.search(rb"\(\?[=!<]|\\[1-9]", each)]
    assert not [each for each in patterns if re.compile(each, FLAGS).search(b"") is not None]


# ---- networks and conditions ----


@pytest.mark.parametrize(
    "networks",
    [
        PRIVATE_NETWORKS,
        ("198.51.100.0/25", "10.0.0.0/7"),
        ("203.0.113.7", "203.0.113.8/31"),
        ("10.0.0.0/8", "10.1.0.0/16"),
        ("10.1.0.0/16", "10.0.0.0/8"),
        ("0.0.0.0/0",),
        ("2001:db8::/32",),
        (),
    ],
)
def test_pattern_of_hosts_outside_matches_those_and_few_others(networks: tuple[str, ...]) -> None:
    chance = random.Random(1)  # noqa: S311 - no secret
    held = Networks(networks)
    expression = re.compile(rb"\|(?:" + held.outside_pattern() + rb")", FLAGS)
    near = [int(ip_address(each.partition("/")[0])) for each in networks if ":" not in each]
    wrong = 0
    for _ in range(5_000):
        number = (
            chance.choice([0, *near]) + chance.getrandbits(chance.choice([2, 8, 24, 31]))
        ) % 2**32
        host = chance.choice(["", "::ffff:"]) + str(ip_address(number))
        found = expression.match(f"|{host} |".encode()) is not None
        assert found or not held.excludes(host)
        wrong += found and not held.excludes(host)
    assert wrong < 100


def test_names_and_ipv6_are_outside_and_broken_addresses_nowhere() -> None:
    held = Networks(["10.0.0.0/8", "2001:db8::/32"])
    assert held.excludes("host.example.com")
    assert held.excludes("2001:db9::1")
    assert not held.excludes("2001:db8::1")
    assert not held.excludes("::ffff:10.1.1.1")
    assert not held.excludes("[local]")
    assert not held.excludes("10.1")


@pytest.mark.parametrize(
    ("host", "address", "network"),
    [
        ("::ffff:10.11.12.16", "10.11.12.16", "10.11.12.0/24"),
        ("2001:db8:1:2::5", "2001:db8:1:2::5", "2001:db8:1::/48"),
        ("host.example.com", "host.example.com", "host.example.com"),
        ("fe80::1%eth0", "fe80::1%eth0", "fe80::/48"),
        ("::zz", "::zz", "::zz"),
    ],
)
def test_address_and_network(host: str, address: str, network: str) -> None:
    assert address_of(host) == address
    assert network_of(host) == network


@pytest.mark.parametrize(
    ("text", "glob", "wanted"),
    [
        ("abc", "abc", True), ("abc", "a*", True), ("abc", "*c", True), ("abc", "a*c", True),
        ("abc", "a*b", False), ("aXbXc", "a*b*c", True), ("ac", "a*c*c", False),
        ("a", "a*a", False),
        ("", "", True), ("x", "", False),
    ],
)  # fmt: skip
def test_glob(text: str, glob: str, wanted: bool) -> None:  # noqa: FBT001
    assert matches_glob(text, glob) is wanted


def test_office_hours_may_pass_midnight() -> None:
    hours = OfficeHours(Audit(office_hours="22:00-06:00", office_days=("monday",)))
    monday = datetime(2024, 5, 6, tzinfo=UTC)
    assert not hours.are_off(monday.replace(hour=23))
    assert not hours.are_off(monday.replace(day=7, hour=5))
    assert hours.are_off(monday.replace(hour=5))
    assert hours.are_off(monday.replace(hour=12))
    assert not OfficeHours(Audit()).are_off(monday)


# ---- findings ----


def test_finding_says_all_that_is_known() -> None:
    (found,) = evaluated(
        rule_set(Audit(rules={"weak-transport": RuleChange(on=False)})),
        connection(event="authentication failure", host="::ffff:203.0.113.9", driver="JDBC 2"),
    )
    assert found == Finding(
        rule="failed-login", severity="low", title="A login failed", at=AT, cluster="shop",
        database="dev", user="bob", actor="", source="203.0.113.9", application="", statement="",
        file="file", offset=0, key="failed-login/shop/bob/203.0.113.9",
        facts=(("Client", "JDBC 2"), ("Authentication", "password")),
    )  # fmt: skip


def test_keys_do_not_run_into_each_other() -> None:
    first, second = (
        evaluated(RULES, connection(event="authentication failure", user=user, host=host))[0].key
        for user, host in (("a/b", "c"), ("a", "b/c"))
    )
    assert first != second


def test_a_very_long_name_makes_a_short_key() -> None:
    (found, *_) = evaluated(RULES, activity(f"create user {'x' * 100_000}"))
    assert len(found.key) < 400
    assert len(dict(found.facts).get("Action", "")) < 400


def test_rdsdb_itself_is_no_news_but_its_forgery_is_looked_at() -> None:
    assert evaluated(RULES, activity("drop user bob", user="rdsdb")) == []
    assert evaluated(RULES, activity("drop user bob", user="rdsdb", verified=False)) != []
    assert evaluated(RULES, change(user="rdsdb", superuser=True)) == []
    assert evaluated(RULES, connection(user="rdsdb", host="::ffff:127.0.0.1", ssl_version="")) == []
    assert [
        f.rule for f in evaluated(RULES, connection(user="rdsdb", event="authentication failure"))
    ]


def test_finding_of_unverified_origin_says_so() -> None:
    found = evaluated(RULES, activity("drop user bob", verified=False))[0]
    assert dict(found.facts)["Origin"] == "unverified: another statement may have carried this text"


def test_the_same_statement_logged_twice_is_one_finding() -> None:
    record = activity("grant all on t to bob")
    assert len(evaluated(RULES, record, record)) == len(evaluated(RULES, record))


def test_records_without_time_or_numbers_are_read_too() -> None:
    assert evaluated(RULES, activity("drop user bob", at=None, pid=None, xid=None))
    assert evaluated(RULES, change(action="drop", at=None, pid=None, xid=None))
    assert evaluated(RULES, connection(event="authentication failure", at=None, pid=None))


def test_rules_switched_off_find_nothing_and_look_for_nothing() -> None:
    off = {rule.id: RuleChange(on=False) for rule in built_in()}
    rules = rule_set(Audit(rules=off))
    assert rules.rules == ()
    assert rules.prefilter("connection") == rules.prefilter("activity") == ()
    assert rules.feeds("connection") == ()
    assert rules.feed(Rows(rows=[], offsets=[]), rules.new_state(), CONTEXT) == []
    assert evaluated(rules, connection(event="authentication failure")) == []


def test_rules_whose_list_is_empty_look_for_nothing() -> None:
    rules = [each.rule() for each in built_in() if each.id == "sensitive-read"]
    assert RuleSet(rules, Audit()).prefilter("activity") == ()
    assert b"cards" in RuleSet(rules, ALL_LISTS).prefilter("activity")


def test_own_rule_with_conditions_on_every_kind_of_field() -> None:
    (rule,) = load(
        {
            "own.toml": """
id = "own"
title = "x"
severity = "low"
needs = ["connection"]
controls = {}
runbook = "A. B."
[[match]]
find = "connection"
event = ["authenticated"]
where = [
  { field = "application", not = ["psql*"] },
  { field = "database", is = ["d*"] },
  { field = "iam_guid", empty = true },
]
"""
        }
    )
    rules = RuleSet([rule.rule()], Audit())
    assert evaluated(rules, connection(application="DBeaver"))
    assert evaluated(rules, connection(application="psql 15")) == []
    assert evaluated(rules, connection(database="prod")) == []
    assert evaluated(rules, connection(iam_guid="x")) == []
    assert matched(rules.prefilter("connection"), b"|".join(row_of(connection())))


def test_what_could_not_be_read_is_one_finding_with_true_counts() -> None:
    problem = ParseProblem(kind="bad-time", file="file", offset=7, sample="x password 'Hunter2'")
    (found,) = RULES.unread([problem], CONTEXT, {"bad-time": 900})
    assert found.offset == 7
    assert dict(found.facts) == {
        "Problems": "900 bad-time",
        "Sample 1, bad-time at byte 7": "x password '***'",
    }
    assert RULES.unread([], CONTEXT) == []


def test_runbook_of_a_rule() -> None:
    assert RULES.runbook("silence").startswith("See whether the cluster runs")
    assert RULES.runbook("nothing") == ""


def test_calls_of_an_event_bridge_event_and_what_is_no_call() -> None:
    call = {
        "eventSource": "redshift.amazonaws.com", "eventName": "DisableLogging",
        "eventTime": "2024-05-06T08:00:00Z", "userIdentity": {"userName": "eve"},
        "requestParameters": {"clusterIdentifier": "shop", "x": None, "list": ["a", 1], "y": True},
    }  # fmt: skip
    (record,) = calls_in({"detail": call}, "event")
    assert (record.actor, record.cluster, record.at) == ("eve", "shop", AT)
    assert dict(record.parameters) == {
        "clusterIdentifier": "shop", "x": "", "list": "a, 1", "y": "true",
    }  # fmt: skip
    assert [f.rule for f in RULES.evaluate(record, RULES.new_state(), CONTEXT)] == [
        "audit-logging-changed"
    ]
    assert list(calls_in(call, "event"))
    empty: tuple[object, ...] = (
        None,
        [],
        {},
        {"Records": 3},
        {"Records": [1, {"eventSource": "ec2"}]},
    )
    for nothing in empty:
        assert list(calls_in(nothing, "event")) == []
    broken = {**call, "eventTime": "soon", "userIdentity": None, "eventName": 3}
    (record,) = calls_in(broken, "event")
    assert (record.at, record.actor, record.event) == (None, "", "")
