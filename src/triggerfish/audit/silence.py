"""Which audit logs should be there and aren't, from the times of those that arrived. Pure.

Redshift writes a connection log each hour, since it connects to itself all the time, so hours
without one mean that auditing is off, redirected or broken. The user log is written only when
accounts change: its silence says nothing.
"""

from __future__ import annotations

from bisect import insort
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from triggerfish.audit.findings import facts_of, key_of, title_of
from triggerfish.audit.records import Finding
from triggerfish.audit.rules import SilenceMatch, in_force

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from triggerfish.audit.config import Audit
    from triggerfish.audit.records import LogKind
    from triggerfish.audit.rules import Rule

INTERVAL = timedelta(hours=1)
_KEPT = timedelta(days=4)
_MOST_TIMES = 2_000
_MOST_SHOWN = 8


class Heard(Struct, kw_only=True):
    """When the files of one cluster are from, by the time in their names; in order."""

    connection: list[datetime] = []
    activity: list[datetime] = []

    def hear(self, kind: LogKind, at: datetime) -> None:
        """Note a file; older ones than matter are let go."""
        if kind == "user":
            return
        times = self.connection if kind == "connection" else self.activity
        if at in times:
            return
        insort(times, at)
        while len(times) > _MOST_TIMES or times[0] < times[-1] - _KEPT:
            del times[0]


class Silence:
    def __init__(self, rules: Sequence[Rule], audit: Audit) -> None:
        self._after = INTERVAL * audit.silence_after
        self._rules = [
            (rule, match)
            for rule in in_force(tuple(rules), audit)
            for match in rule.match
            if isinstance(match, SilenceMatch)
        ]

    def findings(self, cluster: str, heard: Heard, now: datetime) -> list[Finding]:
        """What is missing `now`. The same silence has the same key however often it is asked after.

        A cluster that was never heard of has nothing to say; whoever expects one tells it by
        `never_heard`.
        """
        found: list[Finding] = []
        for rule, match in self._rules:
            match match.what:
                case "connection":
                    silences = self._connection(heard, now)
                case "activity":
                    silences = self._activity(heard, now)
                case "gap":
                    silences = self._gaps(heard, now)
            found += [_finding(rule, match, cluster, at, facts) for at, facts in silences]
        return found

    def never_heard(self, cluster: str, since: datetime, now: datetime) -> list[Finding]:
        """An expected cluster that has sent nothing `since` then."""
        if now - since < self._after:
            return []
        facts = {"last_log": "never", "expected_since": _shown(since)}
        return [
            _finding(rule, match, cluster, since, facts)
            for rule, match in self._rules
            if match.what == "connection"
        ]

    def _connection(self, heard: Heard, now: datetime) -> Iterator[tuple[datetime, dict[str, str]]]:
        last = heard.connection[-1] if heard.connection else None
        if last is not None and now - last >= self._after:
            yield last, {"last_log": _shown(last), "silent_for": _hours(now - last)}

    def _activity(self, heard: Heard, now: datetime) -> Iterator[tuple[datetime, dict[str, str]]]:
        if not heard.connection or now - heard.connection[-1] >= self._after:
            return
        if not heard.activity:
            first = heard.connection[0]
            if heard.connection[-1] - first >= self._after:
                hint = "set enable_user_activity_logging to true in the cluster's parameter group"
                yield first, {"last_log": "never", "reason_may_be": hint}
            return
        last = heard.activity[-1]
        if heard.connection[-1] - last >= self._after:
            yield (
                last,
                {"last_log": _shown(last), "last_connection_log": _shown(heard.connection[-1])},
            )

    def _gaps(self, heard: Heard, now: datetime) -> Iterator[tuple[datetime, dict[str, str]]]:
        """A late file may still close a gap, so it is told when it would be silence too."""
        times = heard.connection
        for before, after in pairwise(times):
            count = round((after - before) / INTERVAL) - 1
            if count < 1 or now - (after - INTERVAL) < self._after:
                continue
            hours = [before + INTERVAL * each for each in range(1, count + 1)]
            shown = [f"{each.astimezone(UTC):%Y-%m-%d %H}:00" for each in hours[:_MOST_SHOWN]]
            more = [f"{count - _MOST_SHOWN} more"] if count > _MOST_SHOWN else []
            yield before, {"missing": ", ".join(shown + more), "hours": str(count)}


def _finding(
    rule: Rule, match: SilenceMatch, cluster: str, at: datetime, facts: dict[str, str]
) -> Finding:
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        title=title_of(rule, match.set),
        at=at,
        cluster=cluster,
        database="",
        user="",
        actor="",
        source="",
        application="",
        statement="",
        file="",
        offset=0,
        key=key_of(rule.id, cluster, (match.what, _shown(at))),
        facts=facts_of(facts),
    )


def heard_of(files: Iterable[tuple[LogKind, datetime]]) -> Heard:
    heard = Heard()
    for kind, at in files:
        heard.hear(kind, at)
    return heard


def _shown(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _hours(length: timedelta) -> str:
    return f"{length // INTERVAL} h"
