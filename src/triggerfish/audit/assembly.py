"""Puts the ports together, for the function and for the command line.

What only the hourly run needs is imported there: a log that lands doesn't pay for it.
"""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from triggerfish.audit.config import DAYS
from triggerfish.audit.engine import RedshiftEngine
from triggerfish.audit.entries import ObjectKey
from triggerfish.audit.inputs import batch_body, batch_key, go_on_message, is_wanted, object_event
from triggerfish.audit.ledger import Ledger
from triggerfish.audit.notify import grouped, iso, notices_of
from triggerfish.audit.reading import Ports, read_waiting
from triggerfish.audit.s3 import BATCHES, REPORTS, S3Objects
from triggerfish.audit.store import FindingStore
from triggerfish.errors import Error
from triggerfish.notice import Notice
from triggerfish.runtime import log
from triggerfish.runtime.aws import calling
from triggerfish.runtime.table import Absent, ConditionFailed, Put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date, datetime

    from triggerfish.audit.config import AuditSettings
    from triggerfish.audit.entries import Found, Pending
    from triggerfish.audit.inputs import LogBatch
    from triggerfish.audit.report import Report
    from triggerfish.runtime.aws import Clients
    from triggerfish.runtime.envelopes import S3Object
    from triggerfish.runtime.table import Item, Table
    from triggerfish.types import Clock

REPORTS_MADE = "audit-reports"
GO_ON_S = 1
"""How soon another invocation goes on; the lease is free by then."""


class Notices(Protocol):
    def send(self, notice: Notice) -> None: ...


class DeadLetters(Protocol):
    def send_event(self, event: object, reason: str) -> None: ...


class Assembly:
    """The ports of one process, made once and used by every run."""

    def __init__(  # noqa: PLR0913 - what a process is given
        self,
        settings: AuditSettings,
        clients: Clients,
        table: Table,
        clock: Clock,
        *,
        stack: str,
        own_bucket: str,
        queue_url: str = "",
        notices: Notices | None = None,
        dead_letters: DeadLetters | None = None,
    ) -> None:
        self.audit = settings.audit
        self._clients = clients
        self._table = table
        self._clock = clock
        self._stack = stack
        self._own_bucket = own_bucket
        self._queue_url = queue_url
        self._notices = notices
        self._dead_letters = dead_letters
        retention_s = self.audit.retention.seconds
        self.objects = S3Objects(clients.client("s3"))
        self.engine = RedshiftEngine(settings)
        self.rules = self.engine.rules
        self._runbooks = {rule.id: rule.runbook for rule in self.rules}
        self.ledger = Ledger(table, clock, retention_s=retention_s)
        self.findings = FindingStore(table, retention_s=retention_s)
        self.ports = Ports(
            table=table,
            clock=clock,
            objects=self.objects,
            engine=self.engine,
            ledger=self.ledger,
            tell=self.tell,
            bury=self._bury,
            go_on=self._go_on,
            join_window_s=self.audit.join_window.seconds,
        )

    # ---- what wakes us ----

    def ask_for(self, objects: Iterable[S3Object]) -> set[str]:
        """Have objects read; gives their clusters.

        Also those of objects that were read or wait already: the run that had them may have died.
        """
        clusters: set[str] = set()
        for each in objects:
            file = self.engine.file(each.key)
            if not is_wanted(file, each.key, self.audit):
                log.info("nothing to do", key=each.key)
                continue
            etag, version = (each.etag or "").strip('"'), each.version_id or ""
            key = ObjectKey(bucket=each.bucket, key=each.key, etag=etag, version=version)
            if not self.ledger.ask(file, key):
                log.info("read already, or waiting", key=each.key)
            clusters.add(file.cluster)
        return clusters

    def keep_batch(self, batch: LogBatch) -> str | None:
        """Keep lines of CloudWatch as an object and have it read; gives the cluster, if any."""
        file = self.engine.file(batch.file_name)
        if not is_wanted(file, batch.file_name, self.audit):
            return None
        key = batch_key(batch, BATCHES)
        etag, version = self.objects.keep(self._own_bucket, key, batch_body(batch))
        self.ledger.ask(
            file, ObjectKey(bucket=self._own_bucket, key=key, etag=etag, version=version)
        )
        return file.cluster

    def look_at_call(self, event: Mapping[str, object], name: str) -> None:
        """Whether a call to AWS touched the auditing itself."""
        findings = self.engine.calls(event, f"cloudtrail/{name}")
        self.tell(grouped(findings, found_at=self._clock.now()))

    def read(self, cluster: str, run: str, may_go_on: Callable[[], bool]) -> None:
        read_waiting(cluster, self.ports, run=f"{run}/{cluster}", may_go_on=may_go_on)

    # ---- every hour ----

    def sweep(self, run: str, may_go_on: Callable[[], bool]) -> dict[str, object]:
        """Read what no event announced; say what is silent; make the report that is due.

        What is wrong with one cluster doesn't keep the others from being looked at.
        """
        failed: dict[str, str] = {}
        asked = self._attempt(failed, "listing", self._ask_for_unread) or 0
        for cluster in self.ledger.partitions():
            if not may_go_on():
                break
            self._attempt(
                failed,
                f"cluster {cluster or '-'}",
                lambda cluster=cluster: read_waiting(  # type: ignore[misc]
                    cluster, self.ports, run=f"{run}/{cluster}", may_go_on=may_go_on, tidy=True
                ),
            )
        self._attempt(failed, "silence", self._tell_silence)
        if may_go_on():
            self._attempt(failed, "report", self._report_if_due)
        return {"unannounced": asked, "failed": failed}

    @staticmethod
    def _attempt(failed: dict[str, str], what: str, work: Callable[[], int | None]) -> int | None:
        try:
            return work()
        except Error as error:
            log.error("a part of the sweep failed", part=what, error=error)
            failed[what] = error.message
            return None

    def _ask_for_unread(self) -> int:
        from triggerfish.audit.reconcile import ask_for_unread  # noqa: PLC0415  see the top

        return ask_for_unread(
            self.audit,
            self._own_bucket,
            objects=self.objects,
            engine=self.engine,
            ledger=self.ledger,
            clock=self._clock,
        )

    def _tell_silence(self) -> None:
        from triggerfish.audit.reconcile import silences  # noqa: PLC0415  see the top

        now = self._clock.now()
        findings = silences(self.audit, self.rules, self._table, self.ledger, now)
        self.tell(grouped(findings, found_at=now))

    # ---- the report ----

    def found(self, since: datetime, until: datetime) -> list[Found]:
        """The findings of what happened then, oldest first."""
        from triggerfish.audit import report  # noqa: PLC0415  see the top

        days = report.days_of(since.date(), until.date() + timedelta(days=1))
        found = [each for day in days for each in self.findings.day(day.isoformat())]
        return [each for each in found if since <= each.happened_at < until]

    def report(self, since: date, until: date) -> Report:
        """What was read and found on these days; `until` isn't one of them."""
        from triggerfish.audit import report  # noqa: PLC0415  see the top
        from triggerfish.audit.reconcile import listed, not_read  # noqa: PLC0415

        days = report.days_of(since, until)
        clusters = self.ledger.partitions()
        entries = [
            entry
            for cluster in clusters
            for day in days
            for entry in self.ledger.day(cluster, day.isoformat())
        ]
        before = (since - timedelta(days=1)).isoformat()
        known = frozenset(name for name in clusters if name and self.ledger.day(name, before))
        there = listed(self.audit, self._own_bucket, self.objects, tuple(days))
        missing = [
            (file.cluster, file.kind or "", each.key)
            for file, each in not_read(there, self.audit, self.engine, self.ledger)
        ]
        found = [each for day in days for each in self.findings.day(day.isoformat())]
        evidence = report.Evidence(
            entries=entries, known_before=known, missing=missing, found=found
        )
        return report.build(
            self._stack, since, until, evidence, self.rules, made_at=self._clock.now()
        )

    def _report_if_due(self) -> None:
        """The report of a week is made once: its place in S3 and its notice are the week's."""
        from triggerfish.audit import report  # noqa: PLC0415  see the top

        until = report.due(self._clock.now(), DAYS.index(self.audit.report_day))
        if self._table.get(REPORTS_MADE, until.isoformat()) is not None:
            return
        since = until - timedelta(days=report.DAYS)
        if not self.ledger.clusters():
            return
        made = self.report(since, until)
        data = json.dumps(report.report_data(made), indent=2).encode()
        name = f"{REPORTS}{until.isoformat()}"
        text = report.text(made)
        self.objects.put(self._own_bucket, f"{name}.json", data, "application/json")
        self.objects.put(
            self._own_bucket, f"{name}.txt", f"{text}\n".encode(), "text/plain; charset=utf-8"
        )
        digest = sha256(data).hexdigest()
        self._send(_report_notice(made, text, f"s3://{self._own_bucket}/{name}.json", digest))
        item: Item = {
            "pk": REPORTS_MADE,
            "sk": until.isoformat(),
            "key": f"{name}.json",
            "sha256": digest,
            "made_at": iso(made.made_at),
            "expires_at": int(made.made_at.timestamp()) + self.audit.retention.seconds,
        }
        try:
            self._table.write(Put(item, Absent()))
        except ConditionFailed:
            return  # another sweep made it too: the same report, and the same notice

    # ---- telling ----

    def tell(self, found: Sequence[Found]) -> None:
        """Tell and keep findings. Kept comes last: who dies before it tells the same one again."""
        news = [each for each in found if not self.findings.holds(each)]
        for notice in notices_of(news, self._runbooks):
            self._send(notice)
        for each in news:
            self.findings.keep(each)

    def _send(self, notice: Notice) -> None:
        log.warning("notice", key=notice.key, title=notice.title, severity=notice.severity)
        if self._notices is not None:
            self._notices.send(notice)

    def _bury(self, pending: Pending, why: str) -> None:
        if self._dead_letters is not None:
            one = pending.object
            self._dead_letters.send_event(object_event(one.bucket, one.key), why)

    def _go_on(self, cluster: str) -> None:
        with calling("sqs:SendMessage", f"go on with cluster {cluster}"):
            self._clients.sqs.send_message(
                QueueUrl=self._queue_url,
                MessageBody=go_on_message(cluster),
                DelaySeconds=GO_ON_S,
            )


def _report_notice(made: Report, text: str, where: str, digest: str) -> Notice:
    from triggerfish.audit import report  # noqa: PLC0415  see the top

    day = made.until.isoformat()
    return Notice(
        key=f"audit/report/{day}",
        severity="info",
        title=report.title(made),
        facts=(("Report", where), ("SHA-256", digest)),
        evidence=(text,),
        trigger="audit",
        at=made.made_at,
        id=f"audit-report/{made.stack}/{day}",
    )
