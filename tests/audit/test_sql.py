"""SQL is read as its server reads it, and secrets in it are never shown."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggerfish.audit.masking import MASK, SHOWN, mask, masked
from triggerfish.audit.sql import readings
from triggerfish.audit.sql_patterns import Pattern
from triggerfish.audit.sql_words import shown

LISTS = {"cards": ("cards", "shop.orders", "sales_*_x"), "none": ()}


def codes(statement: str) -> list[str]:
    return [reading.code for reading in readings(statement)]


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("DROP/**/USER bob", ["drop user bob"]),
        ("DROP -- x\n USER bob", ["drop user bob"]),
        ("DROP -- x\r USER bob", ["drop user bob"]),
        ("drop\tuser\x0bbob\x0c", ["drop user bob"]),
        ("select 1; drop user bob;;", ["select 1", "drop user bob"]),
        ("/* a /* b */ c */ drop user bob", ["drop user bob", "c */ drop user bob"]),
        ("/* /* */ drop user bob", ["drop user bob"]),
        ("select 'drop user bob'", ["select '0"]),
        ('select "drop user" from t', ['select "drop\ue020user from t']),
        ("select $$drop user$$, $a$ $$ $a$", ["select '0,'1"]),
        ("select a$b$c", ["select a$b$c"]),
        ("select $1", ["select $1"]),
        ("grant all on t ( a ) , b to x", ["grant all on t(a),b to x"]),
        ('select * from "Shop" . "Cards"', ['select * from "shop."cards']),
        ("select 'it''s'", ["select '0"]),
        ("drop user 'open", ["drop user '0"]),
        ("drop user /* open", ["drop user"]),
        ("DROP USER \u212aen", ["drop user \u212aen"]),
    ],
)
def test_code_is_told_from_text_and_comment(statement: str, wanted: list[str]) -> None:
    assert codes(statement) == wanted


def test_strings_keep_their_place_in_each_statement() -> None:
    first, second = readings("select 'a'; select 'b', 'c'")
    assert (first.code, first.strings) == ("select '0", ("a",))
    assert (second.code, second.strings) == ("select '0,'1", ("b", "c"))
    assert second.string("'1") == "c"


def test_a_backslash_before_a_quote_is_read_both_ways() -> None:
    assert codes(r"select 'x\'; drop user bob; --'") == ["select '0", "select '0", "drop user bob"]


@pytest.mark.parametrize(
    "statement",
    [
        "create procedure p() as $$ begin drop user bob; end $$ language plpgsql",
        "create or replace procedure p() as 'begin drop user bob; end' language plpgsql",
        "execute 'drop user bob'",
        "execute 'drop ' || 'user ' || quote_ident(x)",
        r"execute 'drop\nuser bob'",
        "create procedure p() as $$ begin execute 'dr' || 'op user bob'; end $$",
        "do $x$ begin execute $$drop user bob$$; end $x$",
    ],
)
def test_sql_that_a_statement_carries_is_read(statement: str) -> None:
    assert any(code.startswith(("drop user", "begin drop user")) for code in codes(statement))


def test_carried_sql_says_who_carries_it() -> None:
    found = readings(r"unload ('select * from t where a=\'b\'') to 's3://x'")
    assert [(each.verb, each.code) for each in found] == [
        ("", "unload('0)to '1"),
        ("", "unload('0 b\\ '1)to '2"),
        ("unload", "select * from t where a=\\"),
        ("unload", "select * from t where a='0"),
    ]


def facts(pattern: str, statement: str) -> list[dict[str, str]]:
    compiled = Pattern(pattern, LISTS)
    return [
        dict(found.facts) for reading in readings(statement) for found in compiled.find(reading)
    ]


@pytest.mark.parametrize(
    ("pattern", "statement", "wanted"),
    [
        ("drop user [if exists] {user*}", 'drop user if exists a, "B c"',
         [{"user": "a"}, {"user": "b c"}]),
        ("create|alter user {user} ... createuser", "alter user bob with createuser",
         [{"user": "bob"}]),
        ("create|alter user {user} ... createuser", "alter user bob nocreateuser", []),
        ("create|alter user {user} ... createuser", "alter user bob; select createuser", []),
        ("unload ... to <target>", "unload('x') to's3://a/b'", [{"target": "s3://a/b"}]),
        ("@cards", 'select 1 from x."Cards"', [{"object": "x.cards"}]),
        ("@cards", "select 1 from cards.x", []),
        ("@cards", "select 1 from other.orders", []),
        ("@cards", "select 1 from sales_2024_x, sales_2024_y", [{"object": "sales_2024_x"}]),
        ("@none", "select 1", []),
        ("grant role sys:superuser", 'grant role "sys:superuser" to bob', [{}]),
        ("^ cancel {pid}", "cancel 12", [{"pid": "12"}]),
        ("^ cancel {pid}", "select cancel 12", []),
        ("set log_*", "set log_statement to none", [{}]),
        ("grant ... , public", "grant select on t to a,public", [{}]),
    ],
)  # fmt: skip
def test_pattern(pattern: str, statement: str, wanted: list[dict[str, str]]) -> None:
    assert facts(pattern, statement) == wanted


HOSTILE = [
    "'" * 200_000,
    "/*" * 200_000,
    "/**/" * 100_000,
    "--\n" * 100_000,
    "$$" * 100_000,
    "$a$$b$" * 50_000,
    '"' * 200_000,
    "\\'" * 100_000,
    "execute 'a' " * 20_000,
    "grant " * 50_000,
    "a." * 100_000,
    "do; '" * 20_000,
    "alter user " * 30_000,
    "drop user " + "a," * 100_000,
    "sales_" + "a" * 200_000,
    " " * 300_000,
    "password " * 30_000,
    "unload(" * 40_000,
]


@pytest.mark.parametrize("statement", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile_statements_take_linear_time(statement: str) -> None:
    """Quadratic work on these would take minutes, not the second or so that is allowed."""
    patterns = [
        Pattern(source, LISTS)
        for source in (
            "create|alter user {user} ... createuser",
            "drop user [if exists] {user*}",
            "grant ... with grant option",
            "@cards",
            "{user} password",
            "alter user {user} rename to {new}",
        )
    ]
    began = time.process_time()
    for reading in readings(statement):
        for pattern in patterns:
            list(pattern.find(reading))
    masked(statement)
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("statement", "wanted", "kinds"),
    [
        ("create user bob password 'Hunter2'", "create user bob password '***'", {"password"}),
        ("create user bob PASSWORD/* x */'Hunter2' valid until '2030-01-01'",
         "create user bob PASSWORD/* x */'***' valid until '2030-01-01'", {"password"}),
        ("alter user bob 'Hunter2'", "alter user bob '***'", {"password"}),
        ("alter user bob password '***'", "alter user bob password '***'", set()),
        ("copy t from 's3://a' credentials 'aws_access_key_id=AKIA;aws_secret_access_key=x'",
         "copy t from 's3://a' credentials '***'", {"credentials"}),
        ("copy t from 's3://a' credentials 'aws_iam_role=arn:aws:iam::123456789012:role/x'",
         "copy t from 's3://a' credentials 'aws_iam_role=arn:aws:iam::123456789012:role/x'", set()),
        ("copy t access_key_id 'a' secret_access_key as 'b' session_token 'c'",
         "copy t access_key_id '***' secret_access_key as '***' session_token '***'", {"key"}),
        ("execute 'create user x password ''Hunter2'''", "execute 'create user x password ''***'",
         {"password"}),
        ("select 1 -- aws_secret_access_key=abc", "select 1 -- aws_secret_access_key=***", {"key"}),
        ("select 'AKIAIOSFODNN7EXAMPLE'", "select 'AKIA***'", {"key"}),
        ("create external schema x secret 'abc'", "create external schema x secret '***'",
         {"other"}),
        ("select 'plain'", "select 'plain'", set()),
        ("create user bob password 'Hunter2", "create user bob password '***", {"password"}),
    ],
)  # fmt: skip
def test_secrets_are_masked(statement: str, wanted: str, kinds: set[str]) -> None:
    found = masked(statement)
    assert found.text == wanted
    assert found.kinds == kinds


def test_long_statements_are_cut() -> None:
    assert mask("x" * 10_000) == "x" * SHOWN + "…"
    assert "Hunter2" not in mask("x" * (SHOWN - 30) + " create user b password 'Hunter2'")


ANNOUNCING = st.sampled_from(
    [
        "create user bob password",
        "ALTER USER bob WITH PASSWORD",
        "copy t from 's3://b' secret_access_key",
        "copy t from 's3://b' SESSION_TOKEN AS",
        "copy t credentials",
        "create model m settings (secret =",
    ]
)
BETWEEN = st.sampled_from([" ", "/**/", " /* a 'b' */ ", "\n", " -- it's\n", "\t"])
QUOTES = st.sampled_from([("'", "'"), ("$$", "$$"), ("$x$", "$x$"), ("'", "")])
BEFORE = st.sampled_from(["", "select 'a'; ", r"select 'a\'; ", "/* ' */", '"x" ', "-- '\n"])


@given(ANNOUNCING, BETWEEN, QUOTES, BEFORE, st.text("abcXYZ019+/=!", min_size=8, max_size=40))
def test_a_secret_is_never_shown(
    announcing: str, between: str, quotes: tuple[str, str], before: str, secret: str
) -> None:
    statement = f"{before}{announcing}{between}{quotes[0]}{secret}{quotes[1]}"
    assert secret not in mask(statement)
    assert MASK in mask(statement)


def test_names_are_shown_as_written() -> None:
    (found,) = facts("drop user {user}", 'drop user "Jo ""x"" . Doe"')
    assert found == {"user": 'jo "x" . doe'}
    assert shown('"public."cards') == "public.cards"
