"""Runs the cases of rule files: records in, this rule's findings out. For tests and `check`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from triggerfish.audit import parse
from triggerfish.audit.config import Audit
from triggerfish.audit.evaluate import RuleSet
from triggerfish.audit.records import (
    ActivityRecord,
    ConnectionRecord,
    FileContext,
    ParseProblem,
    Rows,
    UserRecord,
)
from triggerfish.audit.silence import Heard, Silence
from triggerfish.audit.trail import calls_in
from triggerfish.codec import from_text
from triggerfish.durations import Duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from triggerfish.audit.evaluate import RuleState
    from triggerfish.audit.records import Finding
    from triggerfish.audit.rule_files import Case, CaseFinding, RuleFile

CLUSTER = "shop"
_ACTIVITY = {
    "at": None, "database": "dev", "user": "", "pid": None, "user_id": 100, "xid": None,
    "statement": "", "verified": True,
}  # fmt: skip
_USER = {
    "user_id": 100, "user": "", "old_user": "", "action": "", "create_db": False,
    "superuser": False, "catalog_update": False, "valid_until": "9223372036854775807",
    "pid": None, "xid": None, "at": None,
}  # fmt: skip
_CONNECTION = {
    "event": "", "at": None, "host": "", "port": "5439", "pid": 4242, "database": "dev", "user": "",
    "auth_method": "password", "duration_us": 0, "ssl_version": "TLSv1.3", "ssl_cipher": "",
    "iam_guid": "", "application": "", "os_version": "", "driver": "", "plugin": "", "session": "",
}  # fmt: skip


def failures(rule: RuleFile) -> Iterator[str]:
    """What is wrong with each case of a rule, in words; nothing where all is as it says."""
    for case in rule.case:
        found = run(rule, case)
        if len(found) != len(case.findings):
            yield f"{case.name}: {len(found)} findings, where {len(case.findings)} are wanted"
            continue
        for number, (finding, wanted) in enumerate(zip(found, case.findings, strict=True), start=1):
            yield from (
                f"{case.name}: finding {number}: {each}" for each in _differences(finding, wanted)
            )


def _differences(finding: Finding, wanted: CaseFinding) -> Iterator[str]:
    for name in ("at", "title", "severity", "user", "actor", "source", "application", "statement"):
        value = getattr(wanted, name)
        if value is not None and value != getattr(finding, name):
            yield f"{name} is {getattr(finding, name)!r}, where {value!r} is wanted"
    facts = dict(finding.facts)
    for name, value in wanted.facts.items():
        if facts.get(name) != value:
            yield f"fact {name!r} is {facts.get(name)!r}, where {value!r} is wanted"


def run(rule: RuleFile, case: Case) -> list[Finding]:
    """The findings that stand in the end, each as completed, in the order they came first."""
    audit = msgspec.convert(case.settings, Audit, dec_hook=from_text)
    rules = RuleSet([rule.rule()], audit)
    state = rules.new_state()
    standing: dict[tuple[str, str, int], Finding] = {}
    heard = Heard()
    problems: list[ParseProblem] = []
    for number, record in enumerate(_repeated(case.records)):
        if record["log"] == "file":
            heard.hear(record["kind"], record["at"])
        elif record["log"] == "problem":
            problems.append(ParseProblem(**_without_log(record), file="case"))
        else:
            state = rules.new_state(state.to_bytes())
            for finding in _evaluated(rules, state, record, number):
                standing[finding.key, finding.file, finding.offset] = finding
    context = FileContext(cluster=CLUSTER, file="case")
    found = [*standing.values(), *rules.unread(problems, context)]
    if case.now is not None:
        found += Silence([rule.rule()], audit).findings(CLUSTER, heard, case.now)
    return found


def _evaluated(
    rules: RuleSet, state: RuleState, record: Mapping[str, Any], number: int
) -> list[Finding]:
    context = FileContext(cluster=CLUSTER, file=f"{record['log']}-{number}")
    own = {"file": context.file, "offset": 0}
    given = _without_log(record)
    match record["log"]:
        case "connection":
            connection = ConnectionRecord(**{**_CONNECTION, **given, **own})
            rows = Rows(rows=[row_of(connection)], offsets=[0])
            found = rules.feed(rows, state, context)
            return found + rules.evaluate(connection, state, context)
        case "user":
            return rules.evaluate(UserRecord(**{**_USER, **given, **own}), state, context)
        case "activity":
            return rules.evaluate(ActivityRecord(**{**_ACTIVITY, **given, **own}), state, context)
        case _:
            calls = calls_in({"Records": [given]}, context.file)
            return [f for call in calls for f in rules.evaluate(call, state, context)]


def _without_log(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "log"}


def _repeated(records: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """`repeat` times, `every` so long; `{number}` counts. `join` repeats the statement inside."""
    for record in records:
        plain = {k: v for k, v in record.items() if k not in {"repeat", "every", "join"}}
        every = timedelta(seconds=Duration.parse(record.get("every", "0s")).seconds)
        if "join" in record:
            numbers = range(record["join"])
            plain["statement"] = " ".join(_numbered(plain["statement"], each) for each in numbers)
        for number in range(record.get("repeat", 1)):
            one = {name: _numbered(value, number) for name, value in plain.items()}
            if isinstance(one.get("at"), datetime):
                one["at"] += every * number
            if isinstance(one.get("xid"), str):
                one["xid"] = int(one["xid"])
            yield one


def _numbered(value: Any, number: int) -> Any:
    return value.replace("{number}", str(number)) if isinstance(value, str) else value


def row_of(record: ConnectionRecord) -> list[bytes]:
    """The record's line as the log has it, split as `Rows` are."""
    at = (record.at or parse.EPOCH).astimezone(UTC)
    time = f"{at:%a}, {at.day} {at:%b %Y %H:%M:%S}:{at.microsecond // 1000:03}"
    texts = [
        record.ssl_version, record.ssl_cipher, "0", "", "", record.iam_guid, record.application,
        record.os_version, record.driver, record.plugin,
    ]  # fmt: skip
    fields = [
        f"{record.event} ", time, f"{record.host} ", f"{record.port} ", str(record.pid),
        f"{record.database} ", f"{record.user} ",
    ]  # fmt: skip
    rest = "|".join([f"{record.auth_method} ", str(record.duration_us), *(f"{t} " for t in texts)])
    return [each.encode() for each in (*fields, f"{rest}|0|{record.session}")]
