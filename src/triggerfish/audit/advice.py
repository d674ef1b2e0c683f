"""What `check --aws` says of the audit bucket. Pure, but for the two questions it asks of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from triggerfish.audit.reading import Objects
from triggerfish.audit.reconcile import roots
from triggerfish.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triggerfish.audit.config import Audit


class Bucket(Objects, Protocol):
    def announces(self, bucket: str) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    severity: str
    where: str
    found: str
    why: str
    do: str


def advise(audit: Audit, objects: Bucket) -> Iterator[Advice]:
    bucket = audit.bucket or ""
    where = f"bucket {bucket}"
    try:
        if not objects.announces(bucket):
            yield Advice(
                severity="warning",
                where=where,
                found="it doesn't tell EventBridge of its objects",
                why="logs are read up to an hour late, by the listing",
                do="triggerfish connect",
            )
        if not roots(audit, objects):
            prefix = f"{audit.prefix}/" if audit.prefix else ""
            yield Advice(
                severity="error",
                where=where,
                found=f"there is nothing below {prefix}AWSLogs/*/redshift/",
                why="no cluster writes its audit logs here, or under another prefix",
                do="enable audit logging of the cluster to S3, or correct `prefix`",
            )
    except Refused as error:
        yield Advice(
            severity="error",
            where=where,
            found=error.message,
            why="what can't be asked can't be read either",
            do="correct `bucket`, or the bucket's policy",
        )
