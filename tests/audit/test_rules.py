"""Rules load from TOML or say what is wrong, and are as the team wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.audit.test_evaluate import connection, evaluated
from triggerfish.audit.config import Audit, OwnRule, RuleChange
from triggerfish.audit.rule_files import built_in, load, rule_names, rule_set, rules_of
from triggerfish.audit.rules import (
    PRIVATE_NETWORKS,
    BurstMatch,
    Rule,
    in_force,
    is_stateful,
    lists_of,
    record_rules_only,
)
from triggerfish.codec import decode, encode
from triggerfish.config.lines import lines_of
from triggerfish.durations import Duration
from triggerfish.errors import ConfigError

if TYPE_CHECKING:
    from triggerfish.audit.records import Finding

GOOD = """\
id = "own-rule"
title = "Something"
severity = "low"
needs = ["connection"]
controls = {}
runbook = "Look. Act."
[[match]]
find = "connection"
event = ["authenticated"]
where = [{ field = "user", is = ["bob"] }]
"""
STATEMENT = """\
id = "own-rule"
title = "Something"
severity = "low"
needs = ["activity"]
controls = {}
runbook = "Look. Act."
[[match]]
find = "statement"
statements = ["%s"]
"""


def problem(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load({"own.toml": text}, lines_of)
    return str(caught.value)


def test_own_rule_loads() -> None:
    (rule,) = load({"own.toml": GOOD})
    assert rule.id == "own-rule"
    assert [f.rule for f in _findings(GOOD)] == ["own-rule"]


def _findings(text: str) -> list[Finding]:
    return list(evaluated(rule_set(Audit(), load({"own.toml": text})), connection(user="bob")))


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (
            'severity = "low"', 'severity = "bad"',
            'own.toml: severity: found "bad", wanted one that there is',
        ),
        ('title = "Something"', "title = 3", ("own.toml: title: found the number 3,"
         " wanted a string")),
        ('title = "Something"\n', "", "own.toml: title: found no such key, wanted this key"),
        (
            "severity =", "severty =",
            ("own.toml: severty: found an unknown key, wanted a key of a rule file"
            " (did you mean severity?)"),
        ),
        (
            "controls = {}", "controls = {}\ncontrol = 1",
            ("own.toml: control: found an unknown key, wanted a key of a rule file"
            " (did you mean controls?)"),
        ),
        (
            'event = ["authenticated"]', "event = 3",
            "own.toml: match[0].event: found the number 3, wanted an array",
        ),
        (
            'event = ["authenticated"]', "event = []",
            "own.toml: match[0].event: found an array, wanted an array of length >= 1",
        ),
        (
            'find = "connection"', 'find = "conection"',
            'own.toml: match[0].find: found "conection", wanted one that there is',
        ),
        (
            'event = ["authenticated"]', 'events = ["authenticated"]',
            "own.toml: match[0].events: found an unknown key, wanted a key of match[0]",
        ),
        (
            'runbook = "Look. Act."', 'runbook = "Look. Act. Rest."',
            "own.toml:6: runbook: found 3 sentences, wanted two: what to check, and what to do",
        ),
        (
            'title = "Something"', 'title = "Something {user}"',
            "own.toml:2: title: found {user}, wanted a fact that the rule sets: action",
        ),
        (
            'field = "user"', 'field = "usr"',
            ('own.toml:10: match[0].where[0].field: found "usr", wanted application, auth_method,'
            " database, driver, host, iam_guid, os_version, plugin, port, ssl_cipher, ssl_version"
            " or user (did you mean user?)"),
        ),
        (
            'is = ["bob"]', 'is = ["@admin_user"]',
            ('own.toml:10: match[0].where[0].is: found "@admin_user", wanted a list: admin_users,'
            " allowed_networks, log_buckets, protected_objects, sensitive_tables, trusted_users or"
            " unload_buckets (did you mean admin_users?)"),
        ),
        (
            'is = ["bob"]', 'outside = ["here"]',
            ('own.toml:10: match[0].where[0].outside: found "here",'
            ' wanted a network such as "198.51.100.0/24", or a list'),
        ),
        (
            'id = "own-rule"', 'id = "Own Rule"',
            ('own.toml: id: found "Own Rule", wanted a string matching regex'
            " '^[a-z][a-z0-9-]{0,63}$'"),
        ),
    ],
)  # fmt: skip
def test_rule_that_does_not_load_names_file_key_found_and_wanted(
    old: str, new: str, wanted: str
) -> None:
    assert old in GOOD
    assert problem(GOOD.replace(old, new)) == wanted


def test_text_that_is_no_toml() -> None:
    assert problem("id = ") == (
        "own.toml: the file: found a syntax error, invalid value (at end of document), wanted TOML"
    )


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("drop [if exists", "the brackets don't pair"),
        ("drop ] x", "the brackets don't pair"),
        ("... {user}", "a word or a list has to be in it"),
        ("drop @nothing", "there is no list @nothing"),
        ("drop ?", "'?' means nothing here"),
        ("drop {a} {a}", "redefinition of group name 'a' as group 2; was group 1"),
    ],
)
def test_pattern_that_is_none(pattern: str, why: str) -> None:
    assert problem(STATEMENT % pattern) == (
        f"own.toml:9: match[0].statements[0]: found {pattern!r}: {why}, wanted a pattern of SQL,"
        " as docs/reference/detections.md describes it"
    )


def test_every_file_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"a.toml": "id = ", "b.toml": GOOD.replace("Look. Act.", "Look."), "c.toml": GOOD})
    assert [each.file for each in caught.value.problems] == ["a.toml", "b.toml", "c.toml"]


def test_id_of_a_built_in_rule_is_taken() -> None:
    own = OwnRule(file="audit-rules/mine.toml", text=GOOD.replace("own-rule", "brute-force"))
    with pytest.raises(ConfigError, match=r"audit-rules/mine.toml: id: found \"brute-force\""):
        rules_of([own])


def test_threshold_beyond_what_is_remembered_is_told() -> None:
    text = GOOD.partition("[[match]]")[0]
    text += '[[match]]\nfind = "burst"\nthreshold = 1000\nwindow = "1h"\n'
    assert problem(text) == (
        "own.toml:9: match[0].threshold: found the number 1000, wanted at most 256"
    )


def test_own_rules_stand_beside_the_built_in_ones() -> None:
    assert rule_names([OwnRule(file="mine.toml", text=GOOD)])[-1] == "own-rule"
    assert len(rule_names()) == 25


def test_case_of_an_unknown_log_is_told() -> None:
    text = GOOD + '[[case]]\nname = "x"\nrecords = [{ log = "conection" }]\n'
    assert 'case[0].records[0].log: found "conection", wanted connection, user' in problem(text)


def test_team_switches_off_and_changes() -> None:
    rules = tuple(each.rule() for each in built_in())
    audit = Audit(
        rules={
            "failed-login": RuleChange(on=False),
            "brute-force": RuleChange(threshold=3, window=Duration(60), severity="low"),
        }
    )
    changed = {rule.id: rule for rule in in_force(rules, audit)}
    assert "failed-login" not in changed
    assert len(changed) == 24
    assert changed["brute-force"].severity == "low"
    assert changed["brute-force"].match == (BurstMatch(threshold=3, window=Duration(60)),)
    assert changed["silence"] is next(rule for rule in rules if rule.id == "silence")


def test_lists_of_the_config_take_the_place_of_the_rules_own() -> None:
    rule = next(each for each in built_in() if each.id == "admin-account-login")
    assert "awsuser" in lists_of(rule, Audit())["admin_users"]
    assert lists_of(rule, Audit(admin_users=("dba",)))["admin_users"] == ("dba",)
    assert lists_of(rule, Audit())["allowed_networks"] == PRIVATE_NETWORKS
    assert lists_of(rule, Audit(bucket="example-audit"))["log_buckets"] == ("example-audit",)


def test_record_rules_remember_nothing() -> None:
    rules = record_rules_only(tuple(each.rule() for each in built_in()))
    assert not any(is_stateful(match) for rule in rules for match in rule.match)
    assert "brute-force" not in {rule.id for rule in rules}
    assert "protected-drop" in {rule.id for rule in rules}


def test_rules_survive_being_baked_into_a_function() -> None:
    rules = tuple(each.rule() for each in built_in())
    assert decode(encode(rules), tuple[Rule, ...]) == rules
