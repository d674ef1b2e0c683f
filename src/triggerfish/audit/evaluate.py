"""All rules over one record, and what the rules remember between records, files and runs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import msgspec

from triggerfish.audit import stateful
from triggerfish.audit.conditions import OfficeHours
from triggerfish.audit.findings import facts_of, from_activity, key_of, without_secrets
from triggerfish.audit.join import Join, Remembered
from triggerfish.audit.logins import FEED, LoginRules
from triggerfish.audit.matchers import CallMatcher, ChangeMatcher, ConnectionMatcher
from triggerfish.audit.records import ActivityRecord, ConnectionRecord, Finding, UserRecord
from triggerfish.audit.rules import (
    CallMatch,
    ChangeMatch,
    ConnectionMatch,
    RepeatMatch,
    SecretMatch,
    SilenceMatch,
    StatementMatch,
    UnreadMatch,
    in_force,
    lists_of,
)
from triggerfish.audit.sql_patterns import RUN_TEXT, shortest
from triggerfish.audit.sql_words import fold
from triggerfish.audit.statements import RepeatMatcher, SecretMatcher, Statement, StatementMatcher
from triggerfish.audit.trail import CallRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from triggerfish.audit.config import Audit
    from triggerfish.audit.logins import Quiet
    from triggerfish.audit.records import FileContext, LogKind, ParseProblem, Record, Rows
    from triggerfish.audit.rules import LoginMatch, Match, Rule

_USER_PREFILTER: Final = tuple(
    rb"\|[ \t]*" + action + rb"[ \t\r]*\|" for action in (b"create", b"alter", b"drop", b"rename")
)
_SAMPLES = 3


class _Kept(msgspec.Struct, kw_only=True):
    memory: stateful.Memory
    join: Remembered


class ClusterState:
    """What is remembered of one cluster."""

    __slots__ = ("join", "memory", "quiet")

    def __init__(self, window_s: int, kept: _Kept | None = None) -> None:
        self.memory = kept.memory if kept else stateful.Memory()
        self.join = Join(window_s, kept.join if kept else None)
        self.quiet: Quiet = {}


class RuleState:
    """What the rules remember. `to_bytes` between files; nothing else of it needs to be kept."""

    __slots__ = ("_clusters", "_window_s")

    def __init__(self, window_s: int, data: bytes = b"") -> None:
        self._window_s = window_s
        kept = msgspec.json.decode(data, type=dict[str, _Kept]) if data else {}
        self._clusters = {name: ClusterState(window_s, each) for name, each in kept.items()}

    def of(self, cluster: str) -> ClusterState:
        found = self._clusters.get(cluster)
        if found is None:
            found = self._clusters[cluster] = ClusterState(self._window_s)
        return found

    def to_bytes(self) -> bytes:
        kept = {}
        for name, each in self._clusters.items():
            stateful.shrink(each.memory)
            kept[name] = _Kept(memory=each.memory, join=each.join.remembered())
        return msgspec.json.encode(kept)


class RuleSet:
    """The rules in force. Fulfils `scan.Rules[RuleState]`."""

    def __init__(self, rules: Sequence[Rule], audit: Audit) -> None:
        """Raises `sql_patterns.PatternError` or `ValueError` for rules that didn't load well."""
        self.rules = in_force(tuple(rules), audit)
        self._audit = audit
        self._hours = OfficeHours(audit)
        self._connection: list[ConnectionMatcher] = []
        self._changes: list[ChangeMatcher] = []
        self._statements: list[StatementMatcher] = []
        self._secrets: list[SecretMatcher] = []
        self._calls: list[CallMatcher] = []
        self._unread: list[tuple[Rule, UnreadMatch]] = []
        logins: list[tuple[Rule, LoginMatch]] = []
        for rule in self.rules:
            lists = lists_of(rule, audit)
            for match in rule.match:
                self._add(rule, match, lists, logins)
        self._logins: LoginRules | None = None
        if logins:
            rows = [each for each in self._connection if each.suits_rows]
            self._connection = [each for each in self._connection if not each.suits_rows]
            self._logins = LoginRules(logins, rows)
        self._prefilters: dict[str, tuple[bytes, ...]] = {}

    def _add(
        self, rule: Rule, match: Match, lists: dict[str, tuple[str, ...]],
        logins: list[tuple[Rule, LoginMatch]],
    ) -> None:  # fmt: skip
        match match:
            case ConnectionMatch():
                _keep(self._connection, ConnectionMatcher(rule, match, lists))
            case ChangeMatch():
                _keep(self._changes, ChangeMatcher(rule, match, lists, self._hours))
            case StatementMatch():
                _keep(self._statements, StatementMatcher(rule, match, lists, self._hours))
            case RepeatMatch():
                _keep(self._statements, RepeatMatcher(rule, match, lists))
            case SecretMatch():
                self._secrets.append(SecretMatcher(rule, match))
            case CallMatch():
                self._calls.append(CallMatcher(rule, match, lists))
            case UnreadMatch():
                self._unread.append((rule, match))
            case SilenceMatch():  # which files there are is for `silence` to judge
                pass
            case _:
                logins.append((rule, match))

    def new_state(self, data: bytes = b"") -> RuleState:
        """From `RuleState.to_bytes`, or with nothing remembered."""
        return RuleState(self._audit.join_window.seconds, data)

    def prefilter(self, kind: LogKind) -> tuple[bytes, ...]:
        found = self._prefilters.get(kind)
        if found is None:
            found = self._prefilters[kind] = tuple(shortest(self._loose(kind)))
        return found

    def _loose(self, kind: LogKind) -> Iterator[bytes]:
        match kind:
            case "connection":
                for each in self._connection:
                    yield from each.loose()
            case "user":
                yield from _USER_PREFILTER
            case "activity":
                for statement in self._statements:
                    yield from statement.loose()
                for secret in self._secrets:
                    yield from secret.loose()
                if self._statements:
                    yield RUN_TEXT

    def feeds(self, kind: LogKind) -> tuple[bytes, ...]:
        return (FEED,) if kind == "connection" and self._logins else ()

    def feed(self, rows: Rows, state: RuleState, context: FileContext) -> list[Finding]:
        if self._logins is None:
            return []
        of = state.of(context.cluster)
        return self._logins.feed(rows, of.memory, of.join, of.quiet, context)

    def evaluate(
        self, record: Record | CallRecord, state: RuleState, context: FileContext
    ) -> list[Finding]:
        """What the record shows: new findings, and earlier ones that it completes.

        A completed finding has rule, key, file and offset of the one that it replaces.
        """
        of = state.of(context.cluster)
        match record:
            case ConnectionRecord():
                found = [f for each in self._connection for f in each.find(record, context)]
                return found + of.join.observe(record)
            case UserRecord():
                return list(self._of_change(record, of, context))
            case ActivityRecord():
                return list(self._of_statement(record, of, context))
            case CallRecord():
                return [f for each in self._calls for f in each.find(record, context)]

    def _of_change(
        self, record: UserRecord, of: ClusterState, context: FileContext
    ) -> Iterator[Finding]:
        user = fold(record.user)
        at = 0 if record.at is None else int(record.at.timestamp() * 1000)
        before = stateful.flags_before(of.memory, fold(record.old_user) or user, at)
        for each in self._changes:
            for finding in each.find(record, before, context):
                told = of.join.add(finding, pid=record.pid, xid=record.xid, from_user_log=True)
                if told is not None:
                    yield told
        if record.at is not None:
            _remember_change(of, record, at)

    def _of_statement(
        self, record: ActivityRecord, of: ClusterState, context: FileContext
    ) -> Iterator[Finding]:
        statement = Statement(record, of.memory, context)
        completed = {_identity(f): f for f in of.join.observe(record)}
        matchers: tuple[StatementMatcher | SecretMatcher, ...] = (
            *self._statements,
            *self._secrets,
        )
        for each in matchers:
            for finding in each.find(statement):
                told = of.join.add(finding, pid=record.pid, xid=record.xid)
                if told is not None:
                    completed.pop(_identity(told), None)
                    yield told
        if not record.verified and of.join.contradicts(record):
            yield from self._forged(statement)
        yield from completed.values()

    def _forged(self, statement: Statement) -> Iterator[Finding]:
        record = statement.record
        for rule, match in self._unread:
            if not match.kinds or "unverified" in match.kinds:
                facts = {"problem": "a record of another user than its session's"}
                key = (record.user, "unverified")
                yield from_activity(
                    rule, record, statement.context, key, facts, statement=statement.shown
                )

    def unread(
        self,
        problems: Iterable[ParseProblem],
        context: FileContext,
        counts: Mapping[str, int] | None = None,
    ) -> list[Finding]:
        """What could not be read of one file: one finding a rule, with samples.

        `counts` says how many there were of each kind, where not all are given.
        """
        every = list(problems)
        found = []
        for rule, match in self._unread:
            those = [each for each in every if not match.kinds or each.kind in match.kinds]
            if those:
                found.append(_unread_finding(rule, those, context, counts or {}))
        return found

    def completing(self, state: RuleState, cluster: str) -> Completing:
        """Rules by which files are searched for what is missing in the findings that wait."""
        return Completing(state.of(cluster).join)

    def runbook(self, rule_id: str) -> str:
        return next((rule.runbook for rule in self.rules if rule.id == rule_id), "")


class Completing:
    """Fulfils `scan.Rules[RuleState]`: completes findings, makes none."""

    def __init__(self, join: Join) -> None:
        self._wanted = {kind: join.wanted(kind) for kind in ("connection", "activity")}

    @property
    def is_needed(self) -> bool:
        return any(self._wanted.values())

    def prefilter(self, kind: LogKind) -> tuple[bytes, ...]:
        return self._wanted.get(kind, ())

    def feeds(self, kind: LogKind) -> tuple[bytes, ...]:  # noqa: ARG002  the port's
        return ()

    def feed(self, rows: Rows, state: RuleState, context: FileContext) -> list[Finding]:  # noqa: ARG002  the port's
        return []

    def evaluate(self, record: Record, state: RuleState, context: FileContext) -> list[Finding]:
        return state.of(context.cluster).join.observe(record)


def _identity(finding: Finding) -> tuple[str, str, str, int]:
    return finding.rule, finding.key, finding.file, finding.offset


class _Matcher(Protocol):
    @property
    def is_inert(self) -> bool: ...


M = TypeVar("M", bound=_Matcher)


def _keep(kept: list[M], matcher: M) -> None:
    if not matcher.is_inert:
        kept.append(matcher)


def _remember_change(of: ClusterState, record: UserRecord, at: int) -> None:
    dropped = record.action == "drop"
    flags = stateful.Flags(
        at,
        record.superuser and not dropped,
        record.create_db and not dropped,
        record.catalog_update and not dropped,
        dropped,
    )
    stateful.add_change(of.memory, fold(record.user), flags)
    if record.old_user and record.action == "rename":
        gone = stateful.Flags(at, False, False, False, True)
        stateful.add_change(of.memory, fold(record.old_user), gone)
    of.quiet.clear()


def _unread_finding(
    rule: Rule, problems: Sequence[ParseProblem], context: FileContext, counts: Mapping[str, int]
) -> Finding:
    kinds: dict[str, int] = {}
    for each in problems:
        kinds[each.kind] = kinds.get(each.kind, 0) + 1
    kinds = {kind: max(count, counts.get(kind, 0)) for kind, count in kinds.items()}
    facts = {"problems": ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))}
    for number, each in enumerate(problems[:_SAMPLES], start=1):
        facts[f"sample {number}, {each.kind} at byte {each.offset}"] = without_secrets(each.sample)
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        title=rule.title,
        at=None,
        cluster=context.cluster,
        database="",
        user="",
        actor="",
        source="",
        application="",
        statement="",
        file=context.file,
        offset=problems[0].offset,
        key=key_of(rule.id, context.cluster, sorted(kinds)),
        facts=facts_of(facts),
    )
