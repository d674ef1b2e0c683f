"""What a config would have told of logs that are there: how many mails, and from which rules. Pure.

The mails are worked out as the notices are: the first of a matter at once, its repeats as one when
the window ends, critical ones always at once, and no more an hour than the limit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from triggerfish.audit.notify import key_of_story
from triggerfish.notice import rank

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from triggerfish.audit.entries import Found
    from triggerfish.audit.records import Finding
    from triggerfish.notice import Severity

HOUR = timedelta(hours=1)
NOISY_A_DAY = 1.0
"""A rule that mails more often than this is one that nobody reads any more."""
NOISY_AT_LEAST = 3
"""Mails in all: one bad day is no noise."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How people are told; as `[notices]` says."""

    window: timedelta = HOUR
    limit: int = 30
    least: Severity = "info"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Findings that are told together, the worst first, and when their logs would be read."""

    at: datetime
    found: tuple[Found, ...]

    @property
    def key(self) -> str:
        return key_of_story(self.found)

    @property
    def severity(self) -> Severity:
        return self.found[0].finding.severity


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    at: datetime
    key: str
    rule: str
    """The one that is to blame for it: the worst finding's."""
    count: int


class RuleOutcome(msgspec.Struct, frozen=True, kw_only=True):
    rule: str
    severity: str
    findings: int
    matters: int
    mails: int
    noisy: bool


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    files: int
    records: int
    findings: int
    mails: int
    days: float
    held_back: int
    """Mails that the hour's limit would have made wait."""
    rules: tuple[RuleOutcome, ...]


def outcome(told: Sequence[Told], terms: Terms, *, files: int, records: int) -> Outcome:
    ordered = sorted(told, key=lambda each: each.at)
    days = max((ordered[-1].at - ordered[0].at) / timedelta(days=1), 1.0) if ordered else 1.0
    sent = list(mails(ordered, terms))
    return Outcome(
        files=files,
        records=records,
        findings=sum(each.count for one in ordered for each in one.found),
        mails=len(sent),
        days=round(days, 1),
        held_back=_held_back(sent, terms.limit),
        rules=tuple(_rules([each for one in ordered for each in one.found], sent, days)),
    )


def mails(told: Iterable[Told], terms: Terms) -> Iterator[Mail]:
    """The mails of findings that come in this order."""
    waiting: dict[str, list[Told]] = {}
    last: dict[str, datetime] = {}
    for each in told:
        yield from _due(waiting, last, terms, each.at)
        if rank(each.severity) < rank(terms.least):
            continue
        key = each.key
        first = key not in last or each.at >= last[key] + terms.window
        if each.severity == "critical" or (first and key not in waiting):
            held = waiting.pop(key, [])
            last[key] = each.at
            yield _mail(each.at, [*held, each])
        else:
            waiting.setdefault(key, []).append(each)
    yield from _due(waiting, last, terms, datetime.max.replace(tzinfo=UTC))


def _due(
    waiting: dict[str, list[Told]], last: dict[str, datetime], terms: Terms, now: datetime
) -> Iterator[Mail]:
    ended = {key: last[key] + terms.window for key in waiting}
    for key, at in sorted(ended.items(), key=lambda item: item[1]):
        if at <= now:
            last[key] = at
            yield _mail(at, waiting.pop(key))


def _mail(at: datetime, told: Sequence[Told]) -> Mail:
    worst = max(told, key=lambda each: rank(each.severity))
    count = sum(each.count for one in told for each in one.found)
    return Mail(at=at, key=worst.key, rule=worst.found[0].finding.rule, count=count)


def _held_back(sent: Sequence[Mail], limit: int) -> int:
    of_hour = Counter(mail.at.replace(minute=0, second=0, microsecond=0) for mail in sent)
    return sum(count - limit for count in of_hour.values() if count > limit)


def _rules(found: Sequence[Found], sent: Sequence[Mail], days: float) -> Iterator[RuleOutcome]:
    of_rule: defaultdict[str, list[Found]] = defaultdict(list)
    for each in found:
        of_rule[each.finding.rule].append(each)
    count = Counter(mail.rule for mail in sent)
    for rule in sorted(of_rule, key=lambda name: (-count[name], name)):
        some = of_rule[rule]
        yield RuleOutcome(
            rule=rule,
            severity=some[0].finding.severity,
            findings=sum(each.count for each in some),
            matters=len({each.finding.key for each in some}),
            mails=count[rule],
            noisy=count[rule] / days > NOISY_A_DAY and count[rule] >= NOISY_AT_LEAST,
        )


def within(finding: Finding, since: datetime | None, until: datetime | None) -> bool:
    """Whether it happened then; what has no time did."""
    at = finding.at
    return at is None or ((since is None or at >= since) and (until is None or at < until))


COLUMNS = ("RULE", "SEVERITY", "FINDINGS", "MATTERS", "MAILS", "NOISY")


def row(rule: RuleOutcome) -> tuple[object, ...]:
    return (
        rule.rule,
        rule.severity,
        rule.findings,
        rule.matters,
        rule.mails,
        "noisy" if rule.noisy else "",
    )


def summary(made: Outcome, kinds: Mapping[str, int]) -> str:
    logs = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none"
    late = f"; the hour's limit would have held {made.held_back} back" if made.held_back else ""
    return (
        f"{made.files} logs ({logs}), {made.records:,} records, {made.findings:,} findings:"
        f" {made.mails} mails in {made.days:g} days{late}"
    )
