"""`[audit]`: what may be written, and what is said of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.config.samples import TOP, told
from triggerfish.audit.config import Audit, AuditSettings, LoadedAudit, RuleChange
from triggerfish.audit.resources import settings_of
from triggerfish.codec import decode, encode
from triggerfish.config.load import load, parse
from triggerfish.durations import Duration
from triggerfish.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

AUDIT = """
[audit]
bucket = "example-audit-logs"
"""
OWN_RULE = """
id = "salaries-read"
title = "Somebody dropped a table"
severity = "high"
needs = ["activity"]
controls = { pci = ["10.2.1.1"] }
runbook = "Ask who did it. Tell the works council."

[[match]]
find = "statement"
statements = ["drop table {object*}"]
"""


def config_in(folder: Path, text: str) -> Path:
    path = folder / "triggerfish.toml"
    path.write_text(TOP + text)
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(path)
    return [str(problem) for problem in error.value.problems]


def test_a_bucket_is_enough() -> None:
    audit = parse(TOP + AUDIT).audit
    assert audit == Audit(bucket="example-audit-logs")
    assert audit is not None
    assert len(audit) == 1
    assert (audit.join_window, audit.silence_after) == (Duration(6 * 3600), 3)


def test_without_the_table_there_is_no_audit() -> None:
    assert parse(TOP).audit is None


def test_rules_are_changed_one_by_one() -> None:
    text = AUDIT + "rules.failed-login.on = false\n[audit.rules.brute-force]\nthreshold = 5\n"
    audit = parse(TOP + text).audit
    assert audit is not None
    assert audit.rules == {
        "failed-login": RuleChange(on=False),
        "brute-force": RuleChange(threshold=5),
    }


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (
            "[audit]\n",
            (
                "triggerfish.toml:3: audit: found no place that logs come from,"
                " wanted `bucket` or `log_groups`"
            ),
        ),
        (
            '[audit]\nlog_groups = ["/aws/redshift/shop/userlog"]\nprefix = "a"\n',
            'triggerfish.toml:5: audit.prefix: found "a", wanted no prefix without a `bucket`',
        ),
        (
            f'{AUDIT}prefix = "logs/"\n',
            (
                'triggerfish.toml:6: audit.prefix: found "logs/", wanted a key prefix that neither'
                " begins nor ends with a slash"
            ),
        ),
        (
            f'{AUDIT}allowed_networks = ["10.1.0.0/8"]\n',
            (
                'triggerfish.toml:6: audit.allowed_networks[0]: found "10.1.0.0/8", wanted a'
                ' network such as "198.51.100.0/24" (did you mean "10.0.0.0/8"?)'
            ),
        ),
        (
            f'{AUDIT}allowed_networks = ["10.0.0.0/33"]\n',
            (
                'triggerfish.toml:6: audit.allowed_networks[0]: found "10.0.0.0/33", wanted a'
                ' network such as "198.51.100.0/24"'
            ),
        ),
        (
            f'{AUDIT}office_hours = "08:00-08:00"\n',
            (
                'triggerfish.toml:6: audit.office_hours: found "08:00-08:00", wanted hours that'
                " begin and end"
            ),
        ),
        (
            f"{AUDIT}office_days = []\n",
            "triggerfish.toml:6: audit.office_days: found no day, wanted a day at least",
        ),
        (
            f'{AUDIT}timezone = "Europe/Berln"\n',
            (
                'triggerfish.toml:6: audit.timezone: found "Europe/Berln", wanted a time zone such'
                ' as "Europe/Berlin"'
            ),
        ),
        (
            '[audit]\nlog_groups = ["/aws/lambda/x"]\n',
            (
                'triggerfish.toml:4: audit.log_groups[0]: found "/aws/lambda/x", wanted a log group'
                ' of Redshift such as "/aws/redshift/shop/connectionlog"'
            ),
        ),
    ],
    ids=[
        "no source",
        "prefix alone",
        "prefix slash",
        "host bits",
        "no network",
        "no hours",
        "no days",
        "no zone",
        "no group",
    ],
)
def test_what_does_not_hold_together_is_said(lines: str, wanted: str) -> None:
    assert told(TOP + lines) == [wanted]


def test_a_log_group_is_named_once() -> None:
    group = '"/aws/redshift/shop/userlog"'
    assert told(TOP + f"[audit]\nlog_groups = [{group}, {group}]\n") == [
        (
            f"triggerfish.toml:4: audit.log_groups[1]: found {group} a second time,"
            " wanted each log group once"
        )
    ]


# ---- rule files ----


def test_rule_files_lie_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "audit-rules").mkdir()
    (tmp_path / "audit-rules" / "salaries.toml").write_text(OWN_RULE)
    audit = load(config_in(tmp_path, AUDIT)).audit
    assert isinstance(audit, LoadedAudit)
    assert [rule.file for rule in audit.own_rules] == ["audit-rules/salaries.toml"]
    baked = decode(encode(settings_of(audit)), AuditSettings)
    assert "salaries-read" in {rule.id for rule in baked.rules}
    assert baked == settings_of(audit)


def test_a_rule_file_that_does_not_load_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "audit-rules").mkdir()
    (tmp_path / "audit-rules" / "broken.toml").write_text(OWN_RULE.replace("high", "huge"))
    (tmp_path / "audit-rules" / "torn.toml").write_text("id = ")
    first, second = problems(config_in(tmp_path, AUDIT))
    assert first.startswith("audit-rules/broken.toml: severity: found ")
    assert second.startswith("audit-rules/torn.toml: the file: found a syntax error")


def test_a_change_of_a_rule_that_there_is_none_of_is_said(tmp_path: Path) -> None:
    text = AUDIT + "[audit.rules.brute-forse]\non = false\n"
    assert problems(config_in(tmp_path, text)) == [
        (
            'triggerfish.toml:6: audit.rules.brute-forse: found no rule "brute-forse", wanted a'
            " rule (did you mean brute-force?)"
        )
    ]


def test_a_folder_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    text = AUDIT + 'rules_folder = "rules"\n'
    assert problems(config_in(tmp_path, text)) == [
        (
            'triggerfish.toml:6: audit.rules_folder: found "rules", which isn\'t there, wanted a'
            " folder beside triggerfish.toml"
        )
    ]


def test_a_rule_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "audit-rules").mkdir()
    (tmp_path / "audit-rules" / "a.toml").write_bytes(b"\xff")
    assert problems(config_in(tmp_path, AUDIT)) == [
        (
            "triggerfish.toml:4: audit.rules_folder: found audit-rules/a.toml, that can't be read:"
            " UnicodeDecodeError, wanted a rule file"
        )
    ]
