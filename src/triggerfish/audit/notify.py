"""From findings to what is kept and told: repeats put together, then a notice for each. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from triggerfish.audit.entries import Found, id_of, shortened
from triggerfish.audit.records import Finding
from triggerfish.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from triggerfish.audit.records import LogFile

MOST_MATTERS = 100
"""Matters of one rule that one reading tells one by one. The rest is counted and told as one: who
fails to log in under 100,000 names can't hide among them what another rule found."""

MOST_IN_A_STORY = 20
MOST_LISTED = 8
_ORDER = ("critical", "high", "medium", "low")

UNREAD = "unread-file"


def grouped(findings: Iterable[Finding], *, found_at: datetime) -> list[Found]:
    """One for each matter, in order of appearance, with how often it repeated.

    A finding that is completed later is there twice, with one place; the last one counts.
    """
    completed = {(each.rule, each.key, each.file, each.offset): each for each in findings}
    matters: dict[tuple[str, str], Found] = {}
    of_rule: dict[str, int] = {}
    for finding in completed.values():
        matter = (finding.rule, finding.key)
        known = matters.get(matter)
        if known is None and of_rule.get(finding.rule, 0) >= MOST_MATTERS:
            finding = _one_of_many(finding)  # noqa: PLW2901 - it is told as another from here on
            matter = (finding.rule, finding.key)
            known = matters.get(matter)
        if known is None:
            of_rule[finding.rule] = of_rule.get(finding.rule, 0) + 1
            short = shortened(finding)
            matters[matter] = Found(id=id_of(short), finding=short, found_at=found_at)
        else:
            matters[matter] = _again(known, finding)
    return list(matters.values())


def _again(known: Found, finding: Finding) -> Found:
    times = [at for at in (known.last_at, known.finding.at, finding.at) if at is not None]
    return msgspec.structs.replace(known, count=known.count + 1, last_at=max(times, default=None))


def _one_of_many(finding: Finding) -> Finding:
    return msgspec.structs.replace(
        finding,
        key=f"{finding.rule}/{finding.cluster}/many",
        title=f"{finding.title}, and more like it than are told one by one",
    )


def unread_finding(file: LogFile, name: str, why: str) -> Finding:
    """An object that isn't read: gone, forbidden, or nothing that reading gets to the end of."""
    return Finding(
        rule=UNREAD,
        severity="high",
        title="An audit log could not be read",
        at=file.at,
        cluster=file.cluster,
        database="",
        user="",
        actor="",
        source="",
        application="",
        statement="",
        file=name,
        offset=0,
        key=f"{UNREAD}/{file.cluster}/{name}",
        facts=(("Reason", why),),
    )


def notices_of(found: Iterable[Found], runbooks: Mapping[str, str]) -> list[Notice]:
    """What people are told of findings: one notice for all that came from one address, or actor.

    Who guesses a password, logs in and makes a superuser is one story and not five.
    """
    return [_notice_of_story(story, runbooks) for story in stories(found)]


def stories(found: Iterable[Found]) -> list[list[Found]]:
    """Findings that people are told of together, the worst of each first."""
    told: dict[tuple[str, ...], dict[str, Found]] = {}
    for each in found:
        finding = each.finding
        where = finding.source or finding.actor
        story = (finding.cluster, where) if where else (finding.cluster, "", finding.key)
        told.setdefault(story, {})[each.id] = each  # completed meanwhile: the last one counts
    return [sorted(story.values(), key=_worst_first) for story in told.values()]


def key_of_story(ordered: Sequence[Found]) -> str:
    worst = ordered[0].finding
    if len(ordered) == 1:
        return f"audit/{worst.key}"
    return f"audit/{worst.cluster}/{worst.source or worst.actor}"


def _notice_of_story(ordered: list[Found], runbooks: Mapping[str, str]) -> Notice:
    worst = ordered[0].finding
    if len(ordered) == 1:
        return notice_of(ordered[0], runbooks.get(worst.rule, ""))
    names = "\0".join(sorted(f"{each.id}{_edition(each)}" for each in ordered))
    statements = dict.fromkeys(each.finding.statement for each in ordered if each.finding.statement)
    return Notice(
        key=key_of_story(ordered),
        severity=worst.severity,
        title=f"{_of_cluster(worst)}, and {len(ordered) - 1} more from there",
        facts=tuple(_facts_of_story(ordered, runbooks.get(worst.rule, ""))),
        evidence=tuple(statements),
        trigger="audit",
        at=min((each.finding.at for each in ordered if each.finding.at), default=None),
        id=hashlib.sha256(names.encode()).hexdigest()[:32],
    )


def _worst_first(each: Found) -> tuple[int, str, str]:
    return _ORDER.index(each.finding.severity), iso(each.finding.at), each.id


def _facts_of_story(ordered: list[Found], runbook: str) -> Iterator[tuple[str, str]]:
    findings = [each.finding for each in ordered]
    pairs = (
        ("Who", _listed(finding.actor for finding in findings)),
        ("From", _listed(finding.source for finding in findings)),
        ("Application", _listed(finding.application for finding in findings)),
        ("Cluster", findings[0].cluster),
        ("Database", _listed(finding.database for finding in findings)),
    )
    yield from ((label, value) for label, value in pairs if value)
    for number, each in enumerate(ordered[:MOST_IN_A_STORY], start=1):
        yield f"Finding {number}", _line(each)
    if len(ordered) > MOST_IN_A_STORY:
        yield "More findings", str(len(ordered) - MOST_IN_A_STORY)
    if runbook:
        yield "What to do first", runbook
    yield "Logs", _listed(finding.file for finding in findings)


def _line(each: Found) -> str:
    finding = each.finding
    parts = [finding.severity, iso(finding.at), finding.title]
    if finding.user:
        parts.append(f"account {finding.user}")
    if each.count > 1:
        parts.append(f"{each.count} times")
    return ", ".join(part for part in (*parts, f"rule {finding.rule}") if part)


def _listed(values: Iterable[str]) -> str:
    known = [value for value in dict.fromkeys(values) if value]
    more = f" and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
    return ", ".join(known[:MOST_LISTED]) + more


def _of_cluster(finding: Finding) -> str:
    return f"{finding.cluster}: {finding.title}" if finding.cluster else finding.title


def notice_of(found: Found, runbook: str = "") -> Notice:
    """What a person is told of a finding. Sent again, it is the same notice."""
    finding = found.finding
    return Notice(
        key=key_of_story([found]),
        severity=finding.severity,
        title=_of_cluster(finding),
        facts=tuple(_facts(found, runbook)),
        evidence=(finding.statement,) if finding.statement else (),
        trigger="audit",
        at=finding.at,
        id=f"{found.id}{_edition(found)}",
    )


def _edition(found: Found) -> str:
    """A finding that was completed is news of its own; told again as it was, it isn't."""
    finding = found.finding
    known = sum(map(bool, (finding.actor, finding.source, finding.application, finding.statement)))
    return f"/{known}"


def _facts(found: Found, runbook: str) -> Iterator[tuple[str, str]]:
    finding = found.finding
    pairs = (
        ("Who", finding.actor),
        ("From", finding.source),
        ("Application", finding.application),
        ("Account concerned" if finding.actor else "Account", finding.user),
        ("Cluster", finding.cluster),
        ("Database", finding.database),
        ("At", iso(finding.at)),
        *finding.facts,
        ("Times in this log", f"{found.count}, the last at {iso(found.last_at)}"),
        ("Rule", finding.rule),
        ("Log", f"{finding.file} at byte {finding.offset}" if finding.file else ""),
        ("What to do", runbook),
    )
    for label, value in pairs:
        if value and not (label == "Times in this log" and found.count == 1):
            yield label, value


def iso(at: datetime | None) -> str:
    """ISO 8601, UTC, with milliseconds; empty where no time is known."""
    return "" if at is None else f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def finding_data(finding: Finding) -> dict[str, object]:
    """A finding as `--json` shows it."""
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "title": finding.title,
        "at": iso(finding.at) or None,
        "cluster": finding.cluster,
        "database": finding.database,
        "user": finding.user,
        "actor": finding.actor,
        "source": finding.source,
        "application": finding.application,
        "statement": finding.statement,
        "file": finding.file,
        "offset": finding.offset,
    }


def kept_data(found: Found) -> dict[str, object]:
    """A finding that was kept, as `--json` shows it."""
    return {
        "id": found.id,
        **finding_data(found.finding),
        "facts": dict(found.finding.facts),
        "count": found.count,
        "last_at": iso(found.last_at) or None,
        "found_at": iso(found.found_at),
    }


FINDING_COLUMNS = ("TIME", "SEVERITY", "RULE", "ACTOR", "USER", "FROM", "TITLE")


def finding_row(finding: Finding) -> tuple[object, ...]:
    at = finding.at
    return (
        f"{at:%Y-%m-%d %H:%M:%S}" if at else None,
        finding.severity,
        finding.rule,
        finding.actor,
        finding.user,
        finding.source,
        finding.title,
    )


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Critical before high, and by time: what a person reads first."""
    return sorted(findings, key=lambda each: (_ORDER.index(each.severity), iso(each.at)))
