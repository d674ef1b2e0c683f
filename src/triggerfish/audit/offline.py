"""Logs read here and now, from files or a bucket: for `scan` and `backtest`. Nothing is kept."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import msgspec

from triggerfish.audit import backtest as pure
from triggerfish.audit.evaluate import RuleSet, RuleState
from triggerfish.audit.logfile import log_file
from triggerfish.audit.notify import finding_data, finding_row, grouped, iso, stories, worst_first
from triggerfish.audit.records import FileContext, Severity
from triggerfish.audit.scan import FileReport, Options
from triggerfish.audit.scan import scan as scan_log
from triggerfish.durations import Duration
from triggerfish.errors import Error, InputError
from triggerfish.faults import one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from triggerfish.audit.config import AuditSettings
    from triggerfish.audit.entries import Found
    from triggerfish.audit.reading import Objects
    from triggerfish.audit.records import Finding
    from triggerfish.audit.stream import Source
    from triggerfish.config.model import Config

STDIN = "-"
COLUMNS = ("TIME", "SEVERITY", "RULE", "ACTOR", "USER", "FROM", "TITLE", "FILE")
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log to read: `name` is its path or its `s3://` address."""

    name: str
    open: Callable[[], Source]


@dataclass(slots=True)
class Offline:
    """Reads logs one after the other, with one memory for each cluster, as runs do."""

    settings: AuditSettings
    complain: Callable[[str], None]
    failed: int = 0
    """How many logs could not be opened or read."""
    reports: list[FileReport] = field(default_factory=list)
    findings: dict[tuple[str, str, str, int], Finding] = field(default_factory=dict)
    """By rule, key, file and offset: a finding that was completed takes its own place."""
    _rules: RuleSet = field(init=False)
    _states: dict[str, RuleState] = field(default_factory=dict)
    _before: list[Log] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rules = RuleSet(self.settings.rules, self.settings.audit)

    def files_in(self, path: Path) -> Iterator[Log]:
        """The file, or every file below the folder."""
        if path.is_dir():
            for each in sorted(path.rglob("*")):
                if each.is_file():
                    yield Log(name=str(each), open=lambda each=each: each.open("rb"))  # type: ignore[misc]
        elif str(path) == STDIN:
            yield Log(name=STDIN, open=lambda: sys.stdin.buffer)
        else:
            yield Log(name=str(path), open=lambda: path.open("rb"))

    def objects_in(
        self,
        objects: Objects,
        bucket: str,
        prefix: str,
        since: datetime | None,
        until: datetime | None,
    ) -> Iterator[Log]:
        """The logs of a bucket whose names say that they may hold something of that time."""
        for each in objects.listing(bucket, prefix):
            file = log_file(each.key)
            if file.kind is None or not _may_hold(file.at, since, until):
                continue
            yield Log(
                name=f"s3://{each.bucket}/{each.key}",
                open=lambda each=each: objects.open(each.bucket, each.key),  # type: ignore[misc]
            )

    def read(self, log: Log, *, parallel: bool = False) -> FileReport | None:
        """Read a log to its end; None, and it is said, where that can't be."""
        report: FileReport | None = None
        cluster = log_file(log.name).cluster
        state = self._states.setdefault(cluster, self._rules.new_state())
        try:
            with _opened(log) as source:
                options = Options(parallel=parallel)
                report = scan_log(source, log.name, self._rules, state=state, options=options)
            self._keep(report)
            while report.resume_at is not None:
                report = self._read_on(log, state, report, parallel=parallel)
            self._complete(log, state, cluster)
        except (OSError, Error) as error:
            said = error.strerror if isinstance(error, OSError) else str(error)
            self.complain(f"{log.name}: {said or error}")
            self.failed += 1
            return None
        self.reports.append(report)
        return report

    def _read_on(
        self, log: Log, state: RuleState, before: FileReport, *, parallel: bool
    ) -> FileReport:
        """A scan stops after very many findings, to go on with those in hand."""
        options = Options(parallel=parallel, resume_at=before.resume_at or 0)
        with _opened(log) as source:
            report = scan_log(source, log.name, self._rules, state=state, options=options)
        self._keep(report)
        return msgspec.structs.replace(
            report,
            records=before.records + report.records,
            bytes=before.bytes + report.bytes,
            problems=before.problems + report.problems,
        )

    def _keep(self, report: FileReport) -> None:
        context = FileContext(cluster=report.file.cluster, file=report.file.name)
        if report.findings:
            context = FileContext(cluster=context.cluster, file=report.findings[0].file)
        elif report.problems:
            context = FileContext(cluster=context.cluster, file=report.problems[0].file)
        self._add(report.findings)
        self._add(self._rules.unread(report.problems, context, report.problem_counts))

    def _complete(self, log: Log, state: RuleState, cluster: str) -> None:
        """Search this log, and those before it, for who did what was found."""
        for name in dict.fromkeys((log.name, *(each.name for each in self._before))):
            completing = self._rules.completing(state, cluster)
            if not completing.is_needed:
                break
            if name == STDIN or log_file(name).cluster != cluster:
                continue
            again = next((each for each in (log, *self._before) if each.name == name), log)
            with _opened(again) as source:
                self._add(scan_log(source, name, completing, state=state).findings)
        self._before.append(log)

    def _add(self, findings: Iterable[Finding]) -> None:
        for each in findings:
            self.findings[each.rule, each.key, each.file, each.offset] = each


@contextmanager
def _opened(log: Log) -> Iterator[Source]:
    source = log.open()
    try:
        yield source
    finally:
        close = getattr(source, "close", None)
        if close is not None and source is not sys.stdin.buffer:
            close()


def _may_hold(at: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    """A file is written within a day of what it holds."""
    if at is None:
        return True
    if since is not None and at < since:
        return False
    return until is None or at < until + timedelta(days=1)


def order_of(log: Log) -> str:
    """Logs are read in the order in which Redshift wrote them."""
    return iso(log_file(log.name).at) or "~"


# ---- scan ----


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    reports: Sequence[FileReport]
    names: Sequence[str]
    findings: Sequence[Finding]
    failed: int
    seconds: float


def scan(settings: AuditSettings, files: Sequence[str], complain: Callable[[str], None]) -> Scanned:
    began = time.perf_counter()
    runner = Offline(settings, complain)
    logs = (log for name in files for log in runner.files_in(Path(name)))
    names = [log.name for log in logs if runner.read(log, parallel=True) is not None]
    return Scanned(
        reports=runner.reports,
        names=names,
        findings=list(runner.findings.values()),
        failed=runner.failed,
        seconds=time.perf_counter() - began,
    )


def scan_data(made: Scanned) -> dict[str, object]:
    return {
        "files": [
            {
                "path": name,
                "kind": report.kind,
                "records": report.records,
                "bytes": report.bytes,
                "problems": [
                    {"kind": each.kind, "offset": each.offset, "sample": each.sample}
                    for each in report.problems
                ],
            }
            for name, report in zip(made.names, made.reports, strict=True)
        ],
        "records": sum(report.records for report in made.reports),
        "findings": [finding_data(each) for each in made.findings],
    }


def scan_rows(made: Scanned) -> list[tuple[object, ...]]:
    return [(*finding_row(each), Path(each.file).name) for each in worst_first(made.findings)]


def scan_lines(made: Scanned) -> Iterator[str]:
    """What a person is told beside the table of findings."""
    for name, report in zip(made.names, made.reports, strict=True):
        problems = ", ".join(f"{n} {kind}" for kind, n in sorted(report.problem_counts.items()))
        yield (
            f"{name}: {report.kind or 'no audit log'}, {report.records:,} records"
            + (f", problems: {problems}" if problems else "")
        )
    count = len(made.findings)
    yield f"{count} finding{'' if count == 1 else 's'}"


def speed(made: Scanned) -> str:
    size = sum(report.bytes for report in made.reports)
    return (
        f"{size / MEGABYTE:.1f} MB in {made.seconds:.3f} s:"
        f" {size / MEGABYTE / max(made.seconds, 1e-6):.0f} MB/s"
    )


# ---- backtest ----


def backtest(
    runner: Offline,
    logs: Iterable[Log],
    terms: pure.Terms,
    since: datetime | None,
    until: datetime | None,
) -> tuple[pure.Outcome, Counter[str]]:
    """Read the logs in order; what those of one time show is told when they were written."""
    found: dict[datetime, list[Found]] = {}
    kinds: Counter[str] = Counter()
    for log in logs:
        seen = set(runner.findings)
        report = runner.read(log)
        if report is None:
            continue
        kinds[report.kind or "unknown"] += 1
        new = [each for place, each in runner.findings.items() if place not in seen]
        new = [each for each in new if pure.within(each, since, until)]
        latest = max((each.at for each in new if each.at), default=None)
        at = report.file.at or latest or datetime.now(UTC)
        found.setdefault(at, []).extend(grouped(new, found_at=at))
    told = [
        pure.Told(at=at, found=tuple(story))
        for at, some in found.items()
        for story in stories(some)
    ]
    made = pure.outcome(
        told,
        terms,
        files=len(runner.reports),
        records=sum(report.records for report in runner.reports),
    )
    return made, kinds


def terms(config: Config) -> pure.Terms:
    notices = config.notices
    if notices is None:
        return pure.Terms()
    return pure.Terms(
        window=timedelta(seconds=notices.window.seconds),
        limit=notices.limit,
        least=notices.severity,
    )


# ---- words of the command line ----


def severity(text: str) -> Severity:
    known = get_args(Severity)
    if text not in known:
        raise InputError(f"--severity {text}: wanted {one_of(known)}")
    return cast("Severity", text)


def period(since: str | None, until: str | None) -> tuple[datetime, datetime]:
    """From when to when: a day, a time, or how long ago. Raises InputError."""
    now = datetime.now(UTC)
    begin = _moment(since, now) if since else datetime(1970, 1, 1, tzinfo=UTC)
    end = _moment(until, now) if until else now + timedelta(days=1)
    if begin >= end:
        raise InputError(f"--since {since} is not before --until {until}")
    return begin, end


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is no day", hint="write it as 2026-11-24") from None


def _moment(text: str, now: datetime) -> datetime:
    if re.fullmatch("[0-9]{1,6}[smhd]", text):
        return now - timedelta(seconds=Duration.parse(text).seconds)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        hint = "write 2026-11-24, 2026-11-24T10:00 or 7d"
        raise InputError(f"{text!r} is no time", hint=hint) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
