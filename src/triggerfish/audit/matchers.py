"""One match of a rule over one record: what it finds, and the bytes by which records are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.audit import stateful
from triggerfish.audit.conditions import Condition, all_hold
from triggerfish.audit.findings import (
    account,
    facts_of,
    from_activity,
    from_connection,
    key_of,
    title_of,
    without_secrets,
)
from triggerfish.audit.networks import address_of, glob_to_bytes, is_local
from triggerfish.audit.records import Finding
from triggerfish.audit.rules import INTERNAL_USERS, ChangeMatch
from triggerfish.audit.sql_words import fold
from triggerfish.audit.sql_patterns import Pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from triggerfish.audit.conditions import Lists, OfficeHours
    from triggerfish.audit.records import (
        ActivityRecord,
        ConnectionRecord,
        FileContext,
        UserRecord,
    )
    from triggerfish.audit.rules import (
        CallMatch,
        ConnectionMatch,
        RepeatMatch,
        Rule,
        SecretMatch,
        StatementMatch,
    )
    from triggerfish.audit.sql import Reading
    from triggerfish.audit.stateful import Flags, Memory
    from triggerfish.audit.trail import CallRecord

COLUMNS = {"event": 0, "host": 2, "database": 5, "user": 6, "auth_method": 7, "ssl_version": 9}
CONNECTION_FIELDS = frozenset({
    "host", "port", "database", "user", "auth_method", "ssl_version", "ssl_cipher", "iam_guid",
    "application", "os_version", "driver", "plugin",
})  # fmt: skip
CHANGE_FIELDS = frozenset({"user", "old_user", "valid_until"})
STATEMENT_FIELDS = frozenset({"actor", "database", "bucket"})
"""And the facts of its patterns."""
SECRET_HINTS = {
    "key": (rb"access_key", rb"session_token", rb"security_token", rb"symmetric_key",
            rb"client_secret", rb"AKIA[A-Z0-9]{12}", rb"ASIA[A-Z0-9]{12}"),
    "credentials": (rb"credentials",),
    "password": (rb"password", rb"passwd", rb"pwd", rb"identified", rb"create", rb"alter"),
    "other": (rb"secret", rb"token"),
}  # fmt: skip
"""What has to be in a record for `masking` to find a secret of a kind in it."""
_ACTIONS = {"create": "created", "alter": "altered", "drop": "dropped", "rename": "renamed"}
_GAINED = {"superuser": "superuser", "create_db": "createdb", "catalog_update": "catalog update"}


class ConnectionMatcher:
    def __init__(self, rule: Rule, match: ConnectionMatch, lists: Lists) -> None:
        self._rule = rule
        self._match = match
        self._events = frozenset(map(fold, match.event))
        self._where = [Condition(each, lists) for each in match.where]

    @property
    def is_inert(self) -> bool:
        return any(each.is_inert for each in self._where)

    def find(self, record: ConnectionRecord, context: FileContext) -> Iterator[Finding]:
        event = fold(record.event)
        if event not in self._events or (self._match.remote and is_local(record.host)):
            return
        user = account(record.user)
        if event != "authentication failure" and fold(user) in INTERNAL_USERS:
            return

        def value_of(field: str) -> str:
            if field == "host":
                return address_of(record.host)
            return user if field == "user" else str(getattr(record, field))

        if all_hold(self._where, value_of):
            facts = {each.field: value_of(each.field) for each in self._where}
            for named in ("host", "user", "auth_method"):
                facts.pop(named, None)
            if "ssl_version" in facts:
                facts = {"encryption": facts["ssl_version"] or "none"}
            key = (fold(user), address_of(record.host))
            yield from_connection(self._rule, record, context, key, facts)

    def loose(self) -> Iterator[bytes]:
        """Short expressions: long ones over many columns would slow down all others."""
        told = min((names for each in self._where if (names := each.named())), key=len, default=[])
        where = next((each for each in self._where if each.named() == told), None)
        for name in told:
            yield name + rb"[ \r]*\|"
        if where is None or where.may_be_empty:
            yield from self._loose_lines()

    def _loose_lines(self) -> Iterator[bytes]:
        columns = {COLUMNS["host"]: rb"[^|\n\[]"} if self._match.remote else {}
        for each in self._where:
            column = rb"[ \r]*" if each.may_be_empty else each.column()
            if each.field in COLUMNS and column is not None:
                columns[COLUMNS[each.field]] = column
        last = max(columns, default=0)
        rest = [columns.get(number, rb"[^|\n]*") for number in range(1, last + 1)]
        if last > COLUMNS["host"] and COLUMNS["host"] in columns:
            rest[COLUMNS["host"] - 1] += rb"[^|\n]*"
        end = b"" if last == COLUMNS["host"] else rb"\|"
        for event in self._match.event:
            name = glob_to_bytes(event)
            yield rb"\|".join([b"^" + name + b" ", *rest]) + end
            # Never seen, yet read as the same; kept apart, since it would slow down the others.
            yield rb"^[ \r]+" + name
            yield b"^" + name + rb"(?:[|\r]|  )"


class ChangeMatcher:
    def __init__(self, rule: Rule, match: ChangeMatch, lists: Lists, hours: OfficeHours) -> None:
        self._rule = rule
        self._match = match
        self._hours = hours
        self._where = [Condition(each, lists) for each in match.where]

    @property
    def is_inert(self) -> bool:
        no_hours = self._match.off_hours and not self._hours.are_set
        return no_hours or any(each.is_inert for each in self._where)

    def find(
        self, record: UserRecord, before: Flags | None, context: FileContext
    ) -> Iterator[Finding]:
        match = self._match
        if record.action not in match.action or fold(record.user) in INTERNAL_USERS:
            return
        if match.off_hours and not self._hours.are_off(record.at):
            return
        gained = [
            flag
            for flag in match.gained
            if getattr(record, flag) and not (before is not None and getattr(before, flag))
        ]
        if match.gained and not gained:
            return
        if match.unchanged and not _is_unchanged(record, before):
            return
        if not all_hold(self._where, lambda field: str(getattr(record, field))):
            return
        facts = {"action": _ACTIONS[record.action], **match.set}
        if gained:
            facts["gained"] = ", ".join(_GAINED[flag] for flag in gained)
        if record.action == "rename":
            facts["old_name"] = record.old_user
        yield Finding(
            rule=self._rule.id,
            severity=self._rule.severity,
            title=title_of(self._rule, facts),
            at=record.at,
            cluster=context.cluster,
            database="",
            user=record.user,
            actor="",
            source="",
            application="",
            statement="",
            file=record.file,
            offset=record.offset,
            key=change_key(self._rule, context, facts["action"], record.user),
            facts=facts_of(facts),
        )


def change_key(rule: Rule, context: FileContext, action: str, user: str) -> str:
    """Both logs tell a change by this."""
    return key_of(rule.id, context.cluster, (action, fold(user)))


def _is_unchanged(record: UserRecord, before: Flags | None) -> bool:
    return (
        before is not None
        and not before.dropped
        and (before.superuser, before.create_db, before.catalog_update)
        == (record.superuser, record.create_db, record.catalog_update)
    )


class Statement:
    """A record of the activity log, with what several matches need to know of it."""

    __slots__ = (
        "_folded", "_readings", "_runs_text", "_shown", "context", "memory", "record",
    )  # fmt: skip

    def __init__(self, record: ActivityRecord, memory: Memory, context: FileContext) -> None:
        self.record = record
        self.memory = memory
        self.context = context
        self._readings: list[Reading] | None = None
        self._shown: str | None = None
        self._folded: str | None = None
        self._runs_text = False

    @property
    def readings(self) -> list[Reading]:
        if self._readings is None:
            from triggerfish.audit.sql import readings  # noqa: PLC0415  once a statement is looked at

            self._readings = list(readings(self.record.statement))
        return self._readings

    def may_hold(self, pattern: Pattern) -> bool:
        """A quick look: most statements hold what few patterns need."""
        if self._folded is None:
            self._folded = fold(self.record.statement)
            self._runs_text = "execute" in self._folded
        return self._runs_text or pattern.may_be_in(self._folded)

    @property
    def secrets(self) -> frozenset[str]:
        """Which kinds of secret are in it."""
        from triggerfish.audit.masking import masked  # noqa: PLC0415  as above

        return masked(self.record.statement).kinds

    @property
    def shown(self) -> str:
        if self._shown is None:
            self._shown = without_secrets(self.record.statement)
        return self._shown

    def value_of(self, facts: Mapping[str, str], field: str) -> str:
        if field == "actor":
            return self.record.user
        if field == "database":
            return self.record.database
        if field == "bucket":
            return _bucket_of(facts)
        return facts.get(field, "")


def _bucket_of(facts: Mapping[str, str]) -> str:
    """The bucket of the first `s3://bucket/...` among the facts."""
    for value in facts.values():
        if fold(value[:5]) == "s3://":
            return value[5:].partition("/")[0]
    return ""


class StatementMatcher:
    def __init__(
        self, rule: Rule, match: StatementMatch | RepeatMatch, lists: Lists,
        hours: OfficeHours | None = None,
    ) -> None:  # fmt: skip
        """Raises `sql_patterns.PatternError`."""
        self._rule = rule
        self._match = match
        self._hours = hours
        self._inside = getattr(match, "inside", None)
        self._gained = getattr(match, "gained", None)
        self._off_hours = getattr(match, "off_hours", False)
        self._set: dict[str, str] = getattr(match, "set", {})
        self._where = [Condition(each, lists) for each in match.where]
        self.patterns = [Pattern(each, lists) for each in match.statements]
        self._is_paired = any(isinstance(each, ChangeMatch) for each in rule.match)

    @property
    def is_inert(self) -> bool:
        no_hours = self._off_hours and not (self._hours and self._hours.are_set)
        return (
            no_hours
            or any(each.is_inert for each in self._where)
            or all(each.is_inert for each in self.patterns)
        )

    def loose(self) -> Iterator[bytes]:
        for each in self.patterns:
            yield from each.loose()

    def matches(self, statement: Statement) -> Iterator[dict[str, str]]:
        """The facts of each match, none twice."""
        record = statement.record
        if record.verified and fold(record.user) in INTERNAL_USERS:
            return
        if self._off_hours and not (self._hours and self._hours.are_off(record.at)):
            return
        seen = []
        patterns = [each for each in self.patterns if statement.may_hold(each)]
        for reading in statement.readings if patterns else ():
            if self._inside is not None and reading.verb != self._inside:
                continue
            for pattern in patterns:
                for found in pattern.find(reading):
                    facts = {name: without_secrets(value) for name, value in found.facts}
                    if facts not in seen and self._allows(statement, facts):
                        seen.append(facts)
                        yield facts

    def _allows(self, statement: Statement, facts: dict[str, str]) -> bool:
        if self._gained is not None and "user" in facts:
            at = _ms(statement.record.at)
            before = stateful.flags_before(statement.memory, fold(facts["user"]), at)
            if before is not None and getattr(before, self._gained):
                return False
        return all_hold(self._where, lambda field: statement.value_of(facts, field))

    def find(self, statement: Statement) -> Iterator[Finding]:
        record, context = statement.record, statement.context
        for facts in self.matches(statement):
            told = {**facts, **self._set}
            finding = from_activity(
                self._rule, record, context, (fold(record.user), *facts.values()), told,
                statement=statement.shown,
            )  # fmt: skip
            if self._is_paired and record.verified:
                key = change_key(self._rule, context, told.get("action", ""), finding.user)
                finding = _with_key(finding, key)
            yield finding


def _with_key(finding: Finding, key: str) -> Finding:
    from msgspec.structs import replace  # noqa: PLC0415  part of msgspec, which is loaded

    return replace(finding, key=key)


class SecretMatcher:
    def __init__(self, rule: Rule, match: SecretMatch) -> None:
        self._rule = rule
        self._kinds = frozenset[str](match.kinds)

    def find(self, statement: Statement) -> Iterator[Finding]:
        record = statement.record
        kinds = self._kinds & statement.secrets
        if kinds:
            facts = {"secret": ", ".join(sorted(kinds))}
            key = (fold(record.user), facts["secret"])
            yield from_activity(
                self._rule, record, statement.context, key, facts, statement=statement.shown
            )

    def loose(self) -> Iterator[bytes]:
        for kind in sorted(self._kinds):
            yield from SECRET_HINTS[kind]


class RepeatMatcher(StatementMatcher):
    """Counts by account, and by transaction."""

    def __init__(self, rule: Rule, match: RepeatMatch, lists: Lists) -> None:
        super().__init__(rule, match, lists)
        self._threshold = match.threshold
        self._window_ms = match.window.seconds * 1000

    def find(self, statement: Statement) -> Iterator[Finding]:
        record = statement.record
        at = _ms(record.at)
        user = fold(record.user)
        for _ in self.matches(statement):
            told = False
            for by, key in (
                ("account", f"{self._rule.id} {user}"),
                ("transaction", f"{self._rule.id} {record.pid}:{record.xid}"),
            ):
                times = stateful.count(
                    statement.memory, key, at, self._window_ms + stateful.LATENESS_MS
                )
                crowd = times.crowd(at, self._threshold, self._window_ms)
                if crowd is None or not times.is_news("", *crowd, self._window_ms) or told:
                    continue
                told = True
                facts = {"statements": str(self._threshold), "by": by}
                yield from_activity(
                    self._rule, record, statement.context, (user, "repeat"), facts,
                    statement=statement.shown,
                )  # fmt: skip


class CallMatcher:
    def __init__(self, rule: Rule, match: CallMatch, lists: Lists) -> None:
        self._rule = rule
        self._match = match
        self._calls = frozenset(match.calls)
        self._where = [Condition(each, lists) for each in match.where]

    def find(self, record: CallRecord, context: FileContext) -> Iterator[Finding]:
        parameters = dict(record.parameters)
        if record.event not in self._calls:
            return
        if not all_hold(self._where, lambda field: parameters.get(field, "")):
            return
        told = {each.field: parameters.get(each.field, "") for each in self._where}
        facts = {"call": record.event, **told, **self._match.set}
        if record.error:
            facts["refused with"] = record.error
        cluster = record.cluster or context.cluster
        yield Finding(
            rule=self._rule.id,
            severity=self._rule.severity,
            title=title_of(self._rule, facts),
            at=record.at,
            cluster=cluster,
            database="",
            user="",
            actor=record.actor,
            source=record.source,
            application=record.agent,
            statement="",
            file=record.file,
            offset=record.offset,
            key=key_of(self._rule.id, cluster, (record.event, record.actor)),
            facts=facts_of(facts),
        )


def _ms(at: datetime | None) -> int:
    return 0 if at is None else int(at.timestamp() * 1000)
