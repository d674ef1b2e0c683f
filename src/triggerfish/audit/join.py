r"""Who did it: a finding of one log completed by the others, in whatever order they arrive. Pure.

The user log names only whom a change hit. The activity log has the same (pid, xid) with the actor
and the statement, the connection log the same pid with the address, the program and the driver.
A finding goes out at once with what is known and is registered here; when the rest arrives within
the window it is given again, completed. A finding and its completion have rule, key, file and
offset in common.

What is remembered for findings still to come is bounded. For those that wait, `wanted` are the
patterns by which earlier and later files are searched, so that no flood hides an actor.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from triggerfish.audit import parse
from triggerfish.audit.findings import account, without_secrets
from triggerfish.audit.networks import address_of, is_local
from triggerfish.audit.records import ActivityRecord, ConnectionRecord, Finding
from triggerfish.audit.sql_words import fold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from triggerfish.audit.records import LogKind, Record

MOST_WAITING = 2_000
MOST_HEADS = 2_000
MOST_SESSIONS = 1_000
_MOST_ROWS = 8 * MOST_SESSIONS
SLACK_MS = 2_000
"""The activity log has whole seconds, and the logs are written by different processes."""
_MILLISECOND = timedelta(milliseconds=1)
_VERBS = ("create", "alter", "drop", "grant", "revoke")
_BEST_FIT = 3
_MOST_STATEMENTS = 8
_OF_A_SESSION = {"authenticated", "initiating session", "set application_name"}
ORIGIN = ("Origin", "unverified: another statement may have carried this text")

T = TypeVar("T")


class Head(Struct, kw_only=True):
    """A statement that may turn out to be what changed an account."""

    at: int
    user: str
    database: str
    verified: bool
    statements: list[str]
    """Masked; the first few of the transaction."""


class Session(Struct, kw_only=True):
    at: int
    user: str
    host: str
    application: str
    driver: str


class Waiting(Struct, kw_only=True):
    """A finding that may still be completed."""

    finding: Finding
    at: int
    pid: int
    xid: int | None
    from_user_log: bool
    fit: int = -1
    """How well the statement that was joined fits: -1 none, 3 verified, names and changes it."""
    session_at: int | None = None
    """When the session that was joined began."""


class Remembered(Struct, kw_only=True):
    """All of it, as it is kept."""

    waiting: dict[str, Waiting] = {}
    heads: dict[str, Head] = {}
    sessions: dict[str, Session] = {}
    newest: int = 0


class Join:
    """The findings of one cluster that wait, and what others may be completed with."""

    def __init__(self, window_s: int, remembered: Remembered | None = None) -> None:
        kept = remembered or Remembered()
        self._window_ms = window_s * 1000
        self._waiting = kept.waiting
        self._heads = kept.heads
        self._sessions = kept.sessions
        self._newest = kept.newest
        self._rows: list[list[bytes]] = []
        """The latest login rows, unread; see `records.Rows`."""
        self._rows_by_pid: dict[bytes, list[bytes]] | None = None
        self.waiting_pids: set[bytes] = set()
        self._by_pid: dict[int, set[str]] = {}
        for key, each in self._waiting.items():
            self._index(key, each.pid)

    def remembered(self) -> Remembered:
        """What to keep: rows are read now, at the end of a file."""
        for row in self._rows[-MOST_SESSIONS:]:
            session = _session_of(row)
            if session is not None:
                _put(self._sessions, parse.text_of(row[4]), session, MOST_SESSIONS)
        self._rows = []
        self._rows_by_pid = None
        return Remembered(
            waiting=self._waiting, heads=self._heads, sessions=self._sessions, newest=self._newest
        )

    def keep(self, rows: list[list[bytes]]) -> None:
        """Remember login rows, the latest `MOST_SESSIONS` of them; they are read when needed."""
        self._rows += rows
        self._rows_by_pid = None
        if len(self._rows) > _MOST_ROWS:
            del self._rows[:-MOST_SESSIONS]

    def add(
        self, finding: Finding, *, pid: int | None, xid: int | None, from_user_log: bool = False
    ) -> Finding | None:
        """Register a finding; what to tell: it, an earlier one completed by it, or None."""
        at = _ms(finding)
        if pid is None or at is None:
            return finding
        name = f"{finding.key}#{pid}:{xid}"
        known = self._waiting.get(name)
        if known is not None:
            return self._merged(known, finding, from_user_log=from_user_log)
        waiting = Waiting(finding=finding, at=at, pid=pid, xid=xid, from_user_log=from_user_log)
        if not from_user_log:
            waiting.fit = _BEST_FIT
        head = self._heads.get(f"{pid}:{xid}") if from_user_log else None
        if head is not None:
            self._take_statement(waiting, head)
        session = self._session(pid)
        if session is not None:
            self._take_session(waiting, session)
        self._waiting[name] = waiting
        self._index(name, pid)
        self._advance(at)
        return waiting.finding

    def observe(self, record: Record) -> list[Finding]:
        """The findings that `record` completes. It is remembered for findings still to come."""
        match record:
            case ActivityRecord():
                return self._observe_activity(record)
            case ConnectionRecord() if fold(record.event) in _OF_A_SESSION:
                return self._observe_connection(record)
            case _:
                return []

    def wanted(self, kind: LogKind) -> tuple[bytes, ...]:
        """Patterns of the records that would complete what waits (see `scan.Rules`)."""
        match kind:
            case "activity":
                pairs = sorted(
                    {
                        (each.pid, each.xid)
                        for each in self._waiting.values()
                        if each.fit < _BEST_FIT and each.xid is not None
                    }
                )
                return tuple(rb"pid=%d [^\n]*xid=%d " % pair for pair in pairs)
            case "connection":
                pids = sorted({w.pid for w in self._waiting.values() if w.session_at is None})
                return tuple(rb"^[^|\n]*(?:\|[^|\n]*){3}\|\s*%d\s*\|" % pid for pid in pids)
            case _:
                return ()

    def _observe_activity(self, record: ActivityRecord) -> list[Finding]:
        at = _ms(record)
        if at is None or record.pid is None or record.xid is None:
            return []
        self._advance(at)
        head = self._remember_head(record, at)
        found = []
        for waiting in self._of_pid(record.pid):
            is_its_change = waiting.from_user_log and waiting.xid == record.xid
            if is_its_change and self._take_statement(waiting, head):
                found.append(waiting.finding)
        return found

    def _remember_head(self, record: ActivityRecord, at: int) -> Head:
        """Whose transaction it is, is for a verified record to say, if there is one."""
        key = f"{record.pid}:{record.xid}"
        statement = without_secrets(record.statement)
        known = self._heads.get(key)
        if known is not None and known.user == record.user:
            known.verified = known.verified or record.verified
            if statement not in known.statements and len(known.statements) < _MOST_STATEMENTS:
                known.statements.append(statement)
            return known
        if known is not None and not record.verified:
            return known
        head = Head(
            at=at,
            user=record.user,
            database=record.database,
            verified=record.verified,
            statements=[statement],
        )
        _put(self._heads, key, head, MOST_HEADS)
        return head

    def knows_session(self, pid: int, user: str) -> bool:
        """Whether the connection log says that the latest session of `pid` is `user`'s."""
        session = self._session(pid)
        return session is not None and fold(session.user) == fold(user)

    def contradicts(self, record: ActivityRecord) -> bool:
        """Whether the session that is known of the pid is another user's."""
        at = _ms(record)
        session = None if record.pid is None else self._session(record.pid)
        if session is None or at is None or not record.user:
            return False
        is_its_time = session.at - SLACK_MS <= at <= session.at + self._window_ms
        return is_its_time and fold(session.user) != fold(record.user)

    def _observe_connection(self, record: ConnectionRecord) -> list[Finding]:
        at = _ms(record)
        if at is None or record.pid is None:
            return []
        self._advance(at)
        session = Session(
            at=at,
            user=account(record.user),
            host=address_of(record.host),
            application=record.application,
            driver=record.driver,
        )
        known = self._sessions.get(str(record.pid))
        if known is None or known.at <= at or not known.application:
            _put(self._sessions, str(record.pid), session, MOST_SESSIONS)
        waiting = self._of_pid(record.pid)
        return [each.finding for each in waiting if self._take_session(each, session)]

    def _take_statement(self, waiting: Waiting, head: Head) -> bool:
        """Whether the finding says more now."""
        if abs(head.at - waiting.at) > self._window_ms:
            return False
        fits = [_fit(each, waiting.finding.user) for each in head.statements]
        best = max(fits) + int(head.verified)
        if best <= waiting.fit:
            return False
        waiting.fit = best
        finding = replace(
            waiting.finding,
            actor=head.user,
            statement=head.statements[fits.index(max(fits))],
            database=waiting.finding.database or head.database,
            facts=tuple(fact for fact in waiting.finding.facts if fact != ORIGIN)
            + (() if head.verified else (ORIGIN,)),
        )
        is_news = finding != waiting.finding
        waiting.finding = finding
        return is_news

    def _take_session(self, waiting: Waiting, session: Session) -> bool:
        """The latest session of the pid that began before and is the actor's own."""
        finding = waiting.finding
        if session.at > waiting.at + SLACK_MS or session.at < waiting.at - self._window_ms:
            return False
        if waiting.session_at is not None and session.at < waiting.session_at:
            return False
        if finding.actor and fold(finding.actor) != fold(session.user):
            return False
        completed = replace(
            finding,
            actor=finding.actor or session.user,
            source="" if is_local(session.host) else session.host,
            application=session.application or finding.application,
            facts=_with_fact(finding.facts, "Client", session.driver),
        )
        waiting.session_at = session.at
        waiting.finding = completed
        return completed != finding

    def _merged(self, known: Waiting, other: Finding, *, from_user_log: bool) -> Finding | None:
        """The same change in the other log: one finding, with what both say."""
        first = known.finding
        facts = first.facts
        for name, value in other.facts:
            facts = _with_fact(facts, name, value)
        if from_user_log or known.from_user_log:
            facts = _with_fact(facts, "Seen in", "user log and activity log")
        statement_is_better = bool(other.statement) and known.fit < _BEST_FIT
        merged = replace(
            first,
            actor=other.actor if statement_is_better else first.actor or other.actor,
            statement=other.statement if statement_is_better else first.statement,
            database=first.database or other.database,
            facts=facts,
        )
        if other.statement:
            known.fit = _BEST_FIT
        known.finding = merged
        return merged if merged != first else None

    def _session(self, pid: int) -> Session | None:
        if self._rows_by_pid is None:
            latest = self._rows[-MOST_SESSIONS:]
            self._rows_by_pid = {row[4].strip(): row for row in latest if len(row) > 7}
        row = self._rows_by_pid.get(str(pid).encode())
        fresh = None if row is None else _session_of(row)
        return fresh or self._sessions.get(str(pid))

    def _of_pid(self, pid: int) -> list[Waiting]:
        keys = self._by_pid.get(pid, ())
        return [self._waiting[key] for key in sorted(keys)]

    def _index(self, key: str, pid: int) -> None:
        self._by_pid.setdefault(pid, set()).add(key)
        self.waiting_pids.add(str(pid).encode())

    def _advance(self, at: int) -> None:
        """Let go what has waited longer than the window, in the log's own time."""
        self._newest = max(self._newest, at)
        oldest = self._newest - 2 * self._window_ms
        overdue = [key for key, each in self._first_waiting() if each.at < oldest]
        if len(self._waiting) > MOST_WAITING:
            overdue += list(self._waiting)[: MOST_WAITING // 10]
        for key in dict.fromkeys(overdue):
            self._let_go(key)

    def _first_waiting(self) -> Iterable[tuple[str, Waiting]]:
        """The longest waiting, a few a time: each step does a little."""
        for number, item in enumerate(self._waiting.items()):
            if number >= 8:
                return
            yield item

    def _let_go(self, key: str) -> None:
        pid = self._waiting.pop(key).pid
        keys = self._by_pid[pid]
        keys.discard(key)
        if not keys:
            del self._by_pid[pid]
            self.waiting_pids.discard(str(pid).encode())


def _put(kept: dict[str, T], key: str, value: T, most: int) -> None:
    """As the latest; a tenth of the oldest goes when there are too many."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > most:
        for old in list(kept)[: most // 10]:
            del kept[old]


def _with_fact(
    facts: tuple[tuple[str, str], ...], name: str, value: str
) -> tuple[tuple[str, str], ...]:
    if not value or name in dict(facts):
        return facts
    return (*facts, (name, value))


def _fit(statement: str, user: str) -> int:
    text = fold(statement)
    named = fold(user) in text
    return int(named) + int(any(verb in text for verb in _VERBS))


def _ms(record: Finding | Record) -> int | None:
    return None if record.at is None else (record.at - parse.EPOCH) // _MILLISECOND


def _session_of(row: list[bytes]) -> Session | None:
    at = parse.milliseconds(row[1]) if len(row) > 7 else None
    if at is None or row[0].strip().lower() != b"authenticated":
        return None
    rest = [*row[7].split(b"|"), *[b""] * 11]
    return Session(
        at=at,
        user=account(parse.text_of(row[6])),
        host=address_of(parse.text_of(row[2])),
        application=parse.text_of(rest[8]),
        driver=parse.text_of(rest[10]),
    )
