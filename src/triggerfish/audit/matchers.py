"""One match of a rule over one record: what it finds, and the bytes by which records are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.audit.conditions import Condition, all_hold
from triggerfish.audit.findings import (
    account,
    facts_of,
    from_connection,
    key_of,
    title_of,
)
from triggerfish.audit.networks import address_of, glob_to_bytes, is_local
from triggerfish.audit.records import Finding
from triggerfish.audit.rules import INTERNAL_USERS, ChangeMatch
from triggerfish.audit.sql_words import fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from triggerfish.audit.conditions import Lists, OfficeHours
    from triggerfish.audit.records import (
        ConnectionRecord,
        FileContext,
        UserRecord,
    )
    from triggerfish.audit.rules import (
        CallMatch,
        ConnectionMatch,
        Rule,
    )
    from triggerfish.audit.stateful import Flags
    from triggerfish.audit.trail import CallRecord

COLUMNS = {"event": 0, "host": 2, "database": 5, "user": 6, "auth_method": 7, "ssl_version": 9}
CONNECTION_FIELDS = frozenset({
    "host", "port", "database", "user", "auth_method", "ssl_version", "ssl_cipher", "iam_guid",
    "application", "os_version", "driver", "plugin",
})  # fmt: skip
CHANGE_FIELDS = frozenset({"user", "old_user", "valid_until"})
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

    @property
    def suits_rows(self) -> bool:
        """Whether logins from one place by one account, with one encryption, are all alike to it.

        `logins` sees each login anyway, and looks at one of those alike.
        """
        alike = {"host", "user", "auth_method", "ssl_version"}
        return (
            self._match.remote
            and self._events == {"authenticated"}
            and all(each.field in alike for each in self._where)
        )

    def holds(self, login: Mapping[str, str]) -> bool:
        """Whether it finds a login, not the cluster's own, that is so; see `suits_rows`."""
        return all(each.holds(login[each.field]) for each in self._where)

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
