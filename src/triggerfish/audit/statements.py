"""Matches over statements: one that says something, one with a secret in it, one of many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.audit import stateful
from triggerfish.audit.conditions import Condition, all_hold
from triggerfish.audit.findings import from_activity, without_secrets
from triggerfish.audit.matchers import change_key
from triggerfish.audit.rules import INTERNAL_USERS, ChangeMatch
from triggerfish.audit.sql_patterns import Pattern
from triggerfish.audit.sql_words import fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from triggerfish.audit.conditions import Lists, OfficeHours
    from triggerfish.audit.records import ActivityRecord, FileContext, Finding
    from triggerfish.audit.rules import RepeatMatch, Rule, SecretMatch, StatementMatch
    from triggerfish.audit.sql import Reading
    from triggerfish.audit.stateful import Memory

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


class Statement:
    """A record of the activity log, with what several matches need to know of it."""

    __slots__ = (
        "_readings", "_shown", "context", "folded", "memory", "record", "runs_text",
    )  # fmt: skip

    def __init__(self, record: ActivityRecord, memory: Memory, context: FileContext) -> None:
        self.record = record
        self.memory = memory
        self.context = context
        self._readings: list[Reading] | None = None
        self._shown: str | None = None
        self.folded = fold(record.statement)
        self.runs_text = "execute" in self.folded
        """Whether it may put together a text and run it, so that its own words tell nothing."""

    @property
    def readings(self) -> list[Reading]:
        if self._readings is None:
            from triggerfish.audit.sql import readings  # noqa: PLC0415  once a statement is looked at

            self._readings = list(readings(self.record.statement))
        return self._readings

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
        text = statement.folded
        patterns = [p for p in self.patterns if p.key in text and p.may_be_in(text)]
        if statement.runs_text:
            patterns = self.patterns
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


def _ms(at: datetime | None) -> int:
    return 0 if at is None else int(at.timestamp() * 1000)
