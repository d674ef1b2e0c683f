"""Every hour: what no event announced is read, what should be there and isn't is a finding.

Events are a best effort and a bucket's switch can be thrown back, so the bucket itself is asked.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from triggerfish.audit.entries import ObjectKey
from triggerfish.audit.inputs import is_wanted
from triggerfish.audit.ledger import NO_CLUSTER, day_of
from triggerfish.audit.s3 import BATCHES
from triggerfish.audit.silence import Silence, heard_of
from triggerfish.runtime import log
from triggerfish.runtime.table import Absent, ConditionFailed, Put

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from triggerfish.audit.config import Audit
    from triggerfish.audit.ledger import Ledger
    from triggerfish.audit.reading import Engine, Objects
    from triggerfish.audit.records import Finding, LogFile, LogKind
    from triggerfish.audit.rules import Rule
    from triggerfish.audit.s3 import Listed
    from triggerfish.audit.silence import Heard
    from triggerfish.runtime.table import Item, Table
    from triggerfish.types import Clock


def ask_for_unread(
    audit: Audit, own_bucket: str, *, objects: Objects, engine: Engine, ledger: Ledger, clock: Clock
) -> int:
    """Ask for every log of today and yesterday that was not read; gives how many."""
    today = clock.now().astimezone(UTC).date()
    days = (today - timedelta(days=1), today)
    unread = not_read(listed(audit, own_bucket, objects, days), audit, engine, ledger)
    asked = 0
    for file, each in unread:
        key = ObjectKey(bucket=each.bucket, key=each.key, etag=each.etag)
        asked += ledger.ask(file, key, announced=False)
    if asked:
        log.warning("logs that no event announced", files=asked)
    return asked


def listed(
    audit: Audit, own_bucket: str, objects: Objects, days: tuple[date, ...]
) -> Iterator[Listed]:
    """The objects in the folders of these days: Redshift's, and the batches of CloudWatch."""
    if audit.bucket is not None:
        for root in roots(audit, objects):
            for day in days:
                yield from objects.listing(audit.bucket, f"{root}{day:%Y/%m/%d}/")
    if audit.log_groups:
        for day in days:
            yield from objects.listing(own_bucket, f"{BATCHES}{day:%Y/%m/%d}/")


def roots(audit: Audit, objects: Objects) -> list[str]:
    """Where Redshift's folders of years begin: one an account and region that writes here.

    https://docs.aws.amazon.com/redshift/latest/mgmt/db-auditing.html
    """
    bucket = audit.bucket or ""
    start = f"{audit.prefix}/AWSLogs/" if audit.prefix else "AWSLogs/"
    return [
        region
        for account in objects.folders(bucket, start)
        for region in objects.folders(bucket, f"{account}redshift/")
    ]


def not_read(
    found: Iterator[Listed], audit: Audit, engine: Engine, ledger: Ledger
) -> Iterator[tuple[LogFile, Listed]]:
    """Those that the ledger doesn't call read. A listing knows no versions: the etag tells."""
    of_day: defaultdict[tuple[str, str], list[tuple[LogFile, Listed]]] = defaultdict(list)
    for each in found:
        file = engine.file(each.key)
        if is_wanted(file, each.key, audit):
            of_day[file.cluster, day_of(file)].append((file, each))
    for (cluster, day), files in of_day.items():
        read = {
            (entry.object.bucket, entry.object.key, entry.object.etag)
            for entry in ledger.day(cluster, day)
            if entry.status == "read"
        }
        yield from (
            (file, each) for file, each in files if (each.bucket, each.key, each.etag) not in read
        )


# ---- silence ----

EXPECTED = "audit-expected"
"""The partition that says since when a cluster's logs are waited for."""
LOOKED_BACK = timedelta(days=4)


def silences(
    audit: Audit, rules: Sequence[Rule], table: Table, ledger: Ledger, now: datetime
) -> list[Finding]:
    """What logs should be there and aren't: of the clusters that are known, or named in the config.

    Where none is named and nothing ever came, that is silence too.
    """
    silence = Silence(rules, audit)
    known = [name for name in ledger.clusters() if not audit.clusters or name in audit.clusters]
    findings: list[Finding] = []
    for cluster in known:
        findings += silence.findings(cluster, _heard(ledger, cluster, now), now)
    missing = [name for name in audit.clusters if name not in known]
    for cluster in missing if known or missing else [""]:
        since = _expected_since(table, cluster, now)
        findings += silence.never_heard(cluster, since, now)
    return findings


def _heard(ledger: Ledger, cluster: str, now: datetime) -> Heard:
    first = now - LOOKED_BACK
    days = [(first + timedelta(days=day)).date() for day in range(LOOKED_BACK.days + 2)]
    return heard_of(
        (cast("LogKind", entry.kind), entry.at)
        for day in days
        for entry in ledger.day(cluster, day.isoformat())
        if entry.kind and entry.at is not None
    )


def _expected_since(table: Table, cluster: str, now: datetime) -> datetime:
    """When this cluster was first waited for: the first time this is asked."""
    name, now_ms = cluster or NO_CLUSTER, int(now.timestamp() * 1000)
    item: Item = {"pk": EXPECTED, "sk": name, "since_ms": now_ms}
    try:
        table.write(Put(item, Absent()))
    except ConditionFailed as error:
        since = (error.current[0] or {}).get("since_ms")
        return datetime.fromtimestamp((since if isinstance(since, int) else now_ms) / 1000, UTC)
    return now
