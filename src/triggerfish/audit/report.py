"""What an auditor asks after: what was read, what is missing, what was found, by rule and control.

Pure: the ledger's entries, the findings and the names of the objects in, a report out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from triggerfish.audit.entries import Totals
from triggerfish.audit.notify import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from triggerfish.audit.entries import Entry, Found
    from triggerfish.audit.rules import Rule

DAYS = 7
HOUR = timedelta(hours=1)
_FACT = re.compile(r"\{[a-z_]+\}")
"""What a rule's title says of each finding: created, dropped."""
MOST_LINES = 30
"""Gaps or unread files that the text lists; the data lists all."""


class KindRead(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of log of one cluster. `expected` are the files in the bucket, and those missing."""

    kind: str
    files_read: int
    files_expected: int
    unannounced: int
    """Of the files read, those that no event announced."""
    totals: Totals


class ClusterRead(msgspec.Struct, frozen=True, kw_only=True):
    cluster: str
    kinds: tuple[KindRead, ...]
    gaps: tuple[datetime, ...]
    """The hours for which there is no connection log."""


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    file: str
    reason: str


class RuleCount(msgspec.Struct, frozen=True, kw_only=True):
    rule: str
    title: str
    severity: str
    matters: int
    times: int
    """With repeats."""


class ControlCount(msgspec.Struct, frozen=True, kw_only=True):
    control: str
    rules: tuple[str, ...]
    matters: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`since` and `until` are days; `until` is not in it."""

    stack: str
    since: date
    until: date
    made_at: datetime
    clusters: tuple[ClusterRead, ...]
    unread: tuple[Unread, ...]
    rules: tuple[RuleCount, ...]
    controls: tuple[ControlCount, ...]

    @property
    def is_complete(self) -> bool:
        return not self.unread and not any(cluster.gaps for cluster in self.clusters)

    @property
    def matters(self) -> int:
        return sum(rule.matters for rule in self.rules)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a report is made from."""

    entries: Sequence[Entry]
    """Of the days of the report, by the times in the names of the files."""
    known_before: frozenset[str]
    """The clusters that had logs before these days."""
    missing: Sequence[tuple[str, str, str]]
    """Cluster, kind and name of each object in the bucket that was not read."""
    found: Sequence[Found]


def build(
    stack: str,
    since: date,
    until: date,
    evidence: Evidence,
    rules: Sequence[Rule],
    *,
    made_at: datetime,
) -> Report:
    return Report(
        stack=stack,
        since=since,
        until=until,
        made_at=made_at,
        clusters=tuple(_clusters(evidence, since, min(until, made_at.date()), made_at)),
        unread=tuple(_unread(evidence)),
        rules=tuple(_rules(evidence.found, rules)),
        controls=tuple(_controls(evidence.found, rules)),
    )


def days_of(since: date, until: date) -> list[date]:
    return [since + timedelta(days=day) for day in range((until - since).days)]


def due(now: datetime, weekday: int) -> date:
    """The last day on which a report became due: its `until`. `weekday` 0 is Monday."""
    at_six = now.astimezone(UTC) - timedelta(hours=6)
    return at_six.date() - timedelta(days=(at_six.weekday() - weekday) % 7)


# ---- files ----


def _clusters(
    evidence: Evidence, since: date, until: date, made_at: datetime
) -> Iterator[ClusterRead]:
    of_cluster: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.entries:
        of_cluster[entry.cluster].append(entry)
    silent = evidence.known_before | {cluster for cluster, _, _ in evidence.missing}
    for cluster in sorted(name for name in {*of_cluster, *silent} if name):
        entries = of_cluster[cluster]
        hours = {_hour(e.at) for e in entries if e.kind == "connection" and e.at is not None}
        begin = _midnight(since) if cluster in evidence.known_before else min(hours, default=None)
        gaps = tuple(_gaps(hours, begin, min(_midnight(until), _hour(made_at) - 2 * HOUR)))
        kinds = tuple(_kinds(cluster, entries, evidence, len(gaps)))
        yield ClusterRead(cluster=cluster, kinds=kinds, gaps=gaps)


def _gaps(hours: set[datetime], begin: datetime | None, end: datetime) -> Iterator[datetime]:
    hour = begin
    while hour is not None and hour < end:
        if hour not in hours:
            yield hour
        hour += HOUR


def _kinds(
    cluster: str, entries: Sequence[Entry], evidence: Evidence, gaps: int
) -> Iterator[KindRead]:
    for kind in ("connection", "user", "activity"):
        read = [e for e in entries if e.kind == kind and e.status == "read"]
        missing = sum(1 for of, which, _ in evidence.missing if (of, which) == (cluster, kind))
        absent = gaps if kind == "connection" else 0
        if not read and not missing and not absent:
            continue
        totals = Totals()
        for entry in read:
            totals = totals.plus(entry.totals)
        yield KindRead(
            kind=kind,
            files_read=len(read),
            files_expected=len(read) + missing + absent,
            unannounced=sum(not entry.announced for entry in read),
            totals=totals,
        )


def _unread(evidence: Evidence) -> Iterator[Unread]:
    reasons = {
        entry.object.key: entry.reason for entry in evidence.entries if entry.status == "unread"
    }
    for _, _, name in evidence.missing:
        reasons.setdefault(name, "it was not read yet")
    read = {entry.object.key for entry in evidence.entries if entry.status == "read"}
    for name in sorted(reasons.keys() - read):
        yield Unread(file=name, reason=reasons[name])


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


# ---- findings ----


def _rules(found: Sequence[Found], rules: Sequence[Rule]) -> Iterator[RuleCount]:
    """Every rule in force, those that found nothing too: that they looked is the evidence."""
    matters = Counter(each.finding.rule for each in found)
    times: Counter[str] = Counter()
    for each in found:
        times[each.finding.rule] += each.count
    known = {rule.id: (_FACT.sub("changed", rule.title), rule.severity) for rule in rules}
    for each in found:
        known.setdefault(each.finding.rule, (each.finding.title, each.finding.severity))
    for name in sorted(known, key=lambda rule: (-matters[rule], rule)):
        title, severity = known[name]
        yield RuleCount(
            rule=name, title=title, severity=severity, matters=matters[name], times=times[name]
        )


def _controls(found: Sequence[Found], rules: Sequence[Rule]) -> Iterator[ControlCount]:
    matters = Counter(each.finding.rule for each in found)
    of_control: defaultdict[str, list[str]] = defaultdict(list)
    for rule in rules:
        for control in rule.controls.tags():
            of_control[control].append(rule.id)
    for control in sorted(of_control):
        names = tuple(sorted(of_control[control]))
        yield ControlCount(
            control=control, rules=names, matters=sum(matters[name] for name in names)
        )


# ---- shown ----


def report_data(report: Report) -> dict[str, object]:
    return {
        "stack": report.stack,
        "since": report.since.isoformat(),
        "until": report.until.isoformat(),
        "made_at": iso(report.made_at),
        "complete": report.is_complete,
        "findings": report.matters,
        "clusters": [
            {
                "cluster": cluster.cluster,
                "logs": [
                    {
                        "kind": kind.kind,
                        "files_read": kind.files_read,
                        "files_expected": kind.files_expected,
                        "unannounced": kind.unannounced,
                        "records": kind.totals.records,
                        "bytes": kind.totals.bytes,
                        "problems": kind.totals.problems,
                    }
                    for kind in cluster.kinds
                ],
                "gaps": [iso(gap) for gap in cluster.gaps],
            }
            for cluster in report.clusters
        ],
        "unread": [{"file": each.file, "reason": each.reason} for each in report.unread],
        "rules": [msgspec.to_builtins(each) for each in report.rules],
        "controls": [msgspec.to_builtins(each) for each in report.controls],
    }


def title(report: Report) -> str:
    last = report.until - timedelta(days=1)
    return f"Audit review {report.since} to {last}: {_verdict(report)}"


def _verdict(report: Report) -> str:
    if not report.clusters:
        return "no logs"
    files = "all logs read" if report.is_complete else "not all logs were there or could be read"
    count = report.matters
    found = "all quiet" if not count else "1 finding" if count == 1 else f"{count} findings"
    return f"{found}, {files}"


def text(report: Report) -> str:
    """The report as a person reads it, in a mail or on a terminal."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield title(report)
    yield f"Stack {report.stack}, made {iso(report.made_at)}."
    for cluster in report.clusters:
        yield ""
        yield f"Cluster {cluster.cluster}"
        yield from (f"  {_kind_line(kind)}" for kind in cluster.kinds)
        if cluster.gaps:
            yield from _listed(
                f"  {len(cluster.gaps)} hours without a connection log:", map(iso, cluster.gaps)
            )
        else:
            yield "  no gap in the hours"
    if report.unread:
        yield ""
        yield from _listed("Not read:", (f"{each.file}: {each.reason}" for each in report.unread))
    yield ""
    yield "Findings by rule"
    counts = [
        (each.matters, f"{each.rule} ({each.severity}): {each.title}", each.rule)
        for each in report.rules
    ]
    yield from _counted(counts)
    yield ""
    yield "Findings by control"
    controls = report.controls
    yield from _counted(
        [(c.matters, f"{c.control}: {', '.join(c.rules)}", c.control) for c in controls]
    )


def _kind_line(kind: KindRead) -> str:
    totals = kind.totals
    parts = [
        f"{kind.kind:<10} {kind.files_read} of {kind.files_expected} files",
        f"{totals.records:,} records",
        f"{totals.bytes:,} bytes",
    ]
    if kind.unannounced:
        parts.append(f"{kind.unannounced} that no event announced")
    if totals.problems:
        parts.append(f"{totals.problems} problems")
    return ", ".join(parts)


def _counted(counts: Sequence[tuple[int, str, str]]) -> Iterator[str]:
    """A line for each that found something, one for all that are quiet: that they looked counts."""
    yield from (f"  {count:>5}  {line}" for count, line, _ in counts if count)
    quiet = [name for count, _, name in counts if not count]
    if quiet:
        yield f"  Quiet: {', '.join(quiet)}"


def _listed(head: str, items: Iterable[str]) -> Iterator[str]:
    yield head
    lines = list(items)
    yield from (f"    {line}" for line in lines[:MOST_LINES])
    if len(lines) > MOST_LINES:
        yield f"    and {len(lines) - MOST_LINES} more"
