"""Rules over logins: every login and failure from outside passes here, so each row costs little.

A row of an account and address that logged in before on the same day, with no burst of failures in
sight, changes nothing and is passed over by one look into `quiet`; whatever could change that
(a burst, a late file) empties `quiet` first.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from triggerfish.audit import parse, stateful
from triggerfish.audit.findings import account, from_connection
from triggerfish.audit.networks import address_of, is_local, network_of
from triggerfish.audit.rules import (
    INTERNAL_USERS,
    BurstLoginMatch,
    BurstMatch,
    DormantMatch,
    DroppedMatch,
    NewNetworkMatch,
    SprayMatch,
)
from triggerfish.audit.sql_words import fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from triggerfish.audit.join import Join
    from triggerfish.audit.matchers import ConnectionMatcher
    from triggerfish.audit.records import ConnectionRecord, FileContext, Finding, Rows
    from triggerfish.audit.rules import LoginMatch, Rule
    from triggerfish.audit.stateful import Before, Failed, Memory

FEED = rb"^[ \r]*authenticat(?:ed|ion failure)[ \r]*\|[^|\n]*\|[^|\n\[]"
"""Rows of logins and failures, but of the cluster's own `[local]` ones."""
_LOGIN, _FAILURE = b"authenticated", b"authentication failure"
_LAST_FIELD = 7
"""All that follows the user; a row that was cut off may have less."""
_ALIKE = 40
"""Of what follows the user, this much: how they logged in, 0 microseconds, and the encryption."""
_MOST_QUIET = 20_000

_KEYS = {"account": "user", "address": "host"}

M = TypeVar("M", BurstMatch, BurstLoginMatch, SprayMatch, NewNetworkMatch, DormantMatch)
Quiet = dict[tuple[bytes, bytes, bytes, bytes], bytes]


class LoginRules:
    """The rules of these kinds, and what they make of rows."""

    def __init__(
        self, rules: Sequence[tuple[Rule, LoginMatch]], matchers: Sequence[ConnectionMatcher] = ()
    ) -> None:
        """`matchers` are those of record rules that `suits_rows`."""
        self._matchers = matchers

        def of(kind: type[M]) -> list[tuple[Rule, M, int]]:
            return [
                (rule, match, match.window.seconds * 1000)
                for rule, match in rules
                if isinstance(match, kind)
            ]

        self._bursts = of(BurstMatch)
        self._entries = of(BurstLoginMatch)
        self._sprays = of(SprayMatch)
        self._networks = of(NewNetworkMatch)
        self._dormant = of(DormantMatch)
        self._dropped = [rule for rule, match in rules if isinstance(match, DroppedMatch)]
        windows = [window for _, _, window in (*self._bursts, *self._entries, *self._sprays)]
        self._keep_ms = max(windows, default=0) + stateful.LATENESS_MS
        self._longest = max((window for _, _, window in self._entries), default=0)
        self._least_entry = min(
            (match.threshold for _, match, _ in self._entries), default=stateful.MOST_TIMES
        )
        self._least_spray = min((match.threshold for _, match, _ in self._sprays), default=10**9)
        thresholds = [match.threshold for _, match, _ in self._bursts]
        self._least = min([self._least_entry, *thresholds])

    def feed(
        self, rows: Rows, memory: Memory, join: Join, quiet: Quiet, context: FileContext
    ) -> list[Finding]:
        findings: list[Finding] = []
        join.keep(rows.rows)
        day_of = quiet.get
        waiting = join.waiting_pids
        for place, row in enumerate(rows.rows):
            if len(row) <= _LAST_FIELD:
                continue
            alike = row[0], row[2], row[6], row[7][:_ALIKE]
            if day_of(alike) == row[1][:16] and (not waiting or row[4] not in waiting):
                continue
            at = parse.milliseconds(row[1])
            if at is not None:
                one = _Row(row, rows.offsets[place], at, context)
                findings += self._one(one, memory, join, quiet)
        return findings

    def _one(self, row: _Row, memory: Memory, join: Join, quiet: Quiet) -> list[Finding]:
        event = row.fields[0].strip().lower()
        if event == _FAILURE:
            return self._failure(row, memory, quiet)
        if event != _LOGIN:
            return []
        findings = self._told_by_record(row)
        is_alike = not findings and row.fields[7][:_ALIKE].count(b"|") >= 3
        if not row.is_internal:
            findings += self._login(row, memory)
        if row.is_internal or (is_alike and self._is_quiet(row, memory)):
            if len(quiet) >= _MOST_QUIET:
                quiet.clear()
            alike = row.fields[0], row.fields[2], row.fields[6], row.fields[7][:_ALIKE]
            quiet[alike] = row.fields[1][:16]
        if row.fields[4] in join.waiting_pids:
            findings += join.observe(row.record())
        return findings

    def _told_by_record(self, row: _Row) -> list[Finding]:
        if row.is_internal or not self._matchers:
            return []
        login = row.login()
        telling = [each for each in self._matchers if each.holds(login)]
        if not telling:
            return []
        record = row.record()
        return [f for each in telling for f in each.find(record, row.context)]

    def _failure(self, row: _Row, memory: Memory, quiet: Quiet) -> list[Finding]:
        by_user, by_host, flooded = stateful.add_failure(
            memory, row.user, row.host, row.at, self._keep_ms
        )
        findings: list[Finding] = []
        for kind, name, failed in (("user", row.user, by_user), ("host", row.host, by_host)):
            if len(failed.at) < self._least:
                continue
            findings += self._burst(row, kind, failed, is_told=bool(findings))
            was_hot_until = failed.hot_until
            if self._heats(row, failed):
                is_late = row.at < memory.newest
                if is_late or was_hot_until < row.at:
                    quiet.clear()
                if is_late:
                    findings += self._late_entries(row, kind, name, memory)
        if len(by_host.users) >= self._least_spray:
            findings += self._spray(row, by_host)
        if flooded and row.at > memory.flooded_at + stateful.HOUR_MS:
            memory.flooded_at = row.at
            findings += self._flood(row)
        return findings

    def _heats(self, row: _Row, failed: Failed) -> bool:
        """Whether failures are so many now that a login would be one after a burst."""
        crowd = failed.crowd(row.at, self._least_entry, self._longest)
        if crowd is None:
            return False
        failed.hot_until = max(failed.hot_until, crowd[1] + self._longest)
        return True

    def _burst(self, row: _Row, kind: str, failed: Failed, *, is_told: bool) -> Iterator[Finding]:
        """One account from one address is told once, as the account's."""
        for rule, match, window in self._bursts:
            crowd = failed.crowd(row.at, match.threshold, window)
            if crowd is None or not failed.is_news(rule.id, *crowd, window):
                continue
            if kind == "host" and (is_told or len(failed.users) == 1):
                continue
            facts = {
                "failures": str(match.threshold),
                "by": "account" if kind == "user" else "address",
                "first": _shown(crowd[0]),
                "last": _shown(crowd[1]),
            }
            key = row.user if kind == "user" else row.host
            yield row.finding(rule, (kind, key), facts)

    def _late_entries(self, row: _Row, kind: str, name: str, memory: Memory) -> Iterator[Finding]:
        """A late file's failure may complete a burst before a login that was already read."""
        if kind == "host":
            logins = [((user, name), at) for user, at in memory.logins.get(name, {}).items()]
        else:
            known = memory.accounts.get(name)
            logins = [((name, host), at) for host, at in known.hosts.items()] if known else []
        for pair, at in logins:
            if at > row.at:
                yield from self._entered(row, pair, at, memory)

    def _entered(
        self, row: _Row, pair: tuple[str, str], login: int, memory: Memory
    ) -> Iterator[Finding]:
        """A finding if `login` came after a burst, of its account or from its address."""
        for rule, match, window in self._entries:
            failures = {
                kind: failed.count(login - window, login)
                for kind, name in zip(("account", "address"), pair, strict=True)
                if (failed := memory.failed.get(f"{_KEYS[kind]} {name}")) is not None
            }
            by = max(failures, key=failures.__getitem__, default=None)
            if by is None or failures[by] < match.threshold:
                continue
            key = f"{rule.id} {pair[0]} {pair[1]}"
            told = stateful.count(memory, key, login, window + stateful.LATENESS_MS)
            if told.is_news(rule.id, login, login, window):
                facts = {
                    "failures": str(failures[by]),
                    "by": by,
                    "login": _shown(login),
                    "logged in from": pair[1],
                }
                yield row.finding(rule, pair, facts)

    def _spray(self, row: _Row, failed: Failed) -> Iterator[Finding]:
        for rule, match, window in self._sprays:
            if len(failed.users) < match.threshold:
                continue
            users, first, last = stateful.spread(failed, row.at, window)
            if users >= match.threshold and failed.is_news(rule.id, first, last, window):
                yield row.finding(rule, ("host", row.host), {"accounts": str(users)})

    def _flood(self, row: _Row) -> Iterator[Finding]:
        """Too many names and addresses to keep: an attack by itself, or one that hides another."""
        for rule, _, _ in self._sprays:
            facts = {"accounts": f"more than {stateful.MOST_FAILED} names and addresses failed"}
            yield row.finding(rule, ("flood",), facts)

    def _login(self, row: _Row, memory: Memory) -> list[Finding]:
        findings: list[Finding] = []
        failed = memory.failed
        if f"user {row.user}" in failed or f"host {row.host}" in failed:
            findings += self._entered(row, (row.user, row.host), row.at, memory)
        before = stateful.add_login(memory, row.user, row.host, row.network, row.at)
        if before is not None:
            findings += self._unusual(row, before)
        if row.user in memory.changes and stateful.was_dropped(memory, row.user, row.at):
            findings += [
                row.finding(rule, (row.user, "dropped"), {"account": "was dropped"})
                for rule in self._dropped
            ]
        return findings

    def _is_quiet(self, row: _Row, memory: Memory) -> bool:
        """Whether the same login, later that day, would change nothing and find nothing."""
        by_user = memory.failed.get(f"user {row.user}")
        by_host = memory.failed.get(f"host {row.host}")
        if (by_user is not None and by_user.hot_until >= row.at) or (
            by_host is not None and by_host.hot_until >= row.at
        ):
            return False
        return row.user not in memory.changes or not stateful.was_dropped(memory, row.user, row.at)

    def _unusual(self, row: _Row, before: Before) -> list[Finding]:
        findings: list[Finding] = []
        if before.is_new_network:
            for rule, _, window in self._networks:
                if row.at - before.since >= window:
                    facts = {"network": row.network, "known since": _shown(before.since)}
                    findings.append(row.finding(rule, (row.user, row.network), facts))
        for rule, _, window in self._dormant:
            if row.at - before.last > window:
                facts = {"last login": _shown(before.last)}
                findings.append(row.finding(rule, (row.user,), facts))
        return findings


class _Row:
    """A row that isn't quiet, read as far as the rules need it."""

    __slots__ = ("_offset", "at", "context", "fields", "host", "is_internal", "network", "user")

    def __init__(self, fields: list[bytes], offset: int, at: int, context: FileContext) -> None:
        self.fields = fields
        self._offset = offset
        self.context = context
        self.at = at
        self.user = _user(fields[6])
        self.host, self.network, is_local_host = _host(fields[2])
        self.is_internal = is_local_host or self.user in INTERNAL_USERS

    def login(self) -> dict[str, str]:
        """What matchers that `suits_rows` look at."""
        auth_method, _, ssl_version, *_ = [*self.fields[7].split(b"|", 3), b"", b""]
        return {
            "user": _text(self.fields[6]),
            "host": self.host,
            "auth_method": _text(auth_method),
            "ssl_version": _text(ssl_version),
        }

    def record(self) -> ConnectionRecord:
        return parse.connection_record(self.fields, self.context.file, self._offset)

    def finding(self, rule: Rule, key: tuple[str, ...], facts: dict[str, str]) -> Finding:
        return from_connection(rule, self.record(), self.context, key, facts)


@lru_cache(maxsize=8192)
def _text(field: bytes) -> str:
    return account(parse.text_of(field))


@lru_cache(maxsize=8192)
def _user(field: bytes) -> str:
    return fold(_text(field))


@lru_cache(maxsize=8192)
def _host(field: bytes) -> tuple[str, str, bool]:
    host = address_of(parse.text_of(field))
    return host, network_of(host), is_local(host)


def _shown(ms: int) -> str:
    moment = parse.moment_of(ms)
    return (
        "" if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
