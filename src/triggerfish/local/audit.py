"""The world that the audit trigger's config speaks of, and logs put where Redshift puts them."""

from __future__ import annotations

import gzip
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from triggerfish.audit.logfile import log_file
from triggerfish.audit.s3 import S3Objects
from triggerfish.audit.scan import kind_of
from triggerfish.errors import InputError, Refused
from triggerfish.local.provision import ACCOUNT
from triggerfish.runtime.aws import calling

if TYPE_CHECKING:
    from triggerfish.audit.config import Audit
    from triggerfish.audit.records import LogKind
    from triggerfish.config.model import Config
    from triggerfish.runtime.aws import Clients

LOGS: dict[LogKind, str] = {
    "connection": "connectionlog",
    "user": "userlog",
    "activity": "useractivitylog",
}


class AuditWorld:
    def __init__(self, config: Config) -> None:
        self._audit = config.audit
        self._region = config.region_in("local")

    def make(self, clients: Clients) -> None:
        """Make the audit bucket and the log groups, which are there before any stack is."""
        if self._audit is None:
            return
        if self._audit.bucket is not None:
            _ensure_bucket(clients, self._audit.bucket, self._region)
        for group in self._audit.log_groups:
            _ensure_log_group(clients, group)

    def connect(self, clients: Clients) -> None:
        """Have the bucket announce its logs, as `triggerfish connect` does on AWS."""
        if self._audit is not None and self._audit.bucket is not None:
            S3Objects(clients.client("s3")).announce(self._audit.bucket)


def _ensure_bucket(clients: Clients, bucket: str, region: str) -> None:
    s3 = clients.client("s3")
    where = {} if region == "us-east-1" else {"LocationConstraint": region}
    request = {"CreateBucketConfiguration": where} if where else {}
    with calling("s3:CreateBucket", bucket):
        try:
            s3.create_bucket(Bucket=bucket, **request)
        except (s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
            return


def _ensure_log_group(clients: Clients, group: str) -> None:
    logs = clients.client("logs")
    with calling("logs:CreateLogGroup", group):
        try:
            logs.create_log_group(logGroupName=group)
        except logs.exceptions.ResourceAlreadyExistsException:
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """A log and where it goes."""

    name: str
    kind: LogKind
    cluster: str
    at: datetime
    account: str
    region: str
    data: bytes
    """As it is stored: gzip."""

    @property
    def key(self) -> str:
        """Source: docs.aws.amazon.com/redshift/latest/mgmt/db-auditing.html, bucket structure."""
        folder = f"AWSLogs/{self.account}/redshift/{self.region}/{self.at:%Y/%m/%d}"
        return f"{folder}/{self.name}"


def landing(name: str, data: bytes, *, cluster: str, region: str, now: datetime) -> Landing:
    """Where a log goes: under its own name where it has one of Redshift's, else as of now.

    Raises InputError for what is no audit log.
    """
    packed = data.startswith(b"\x1f\x8b")
    file = log_file(name)
    kind = file.kind or kind_of(gzip.decompress(data) if packed else data)
    if kind is None:
        raise InputError(
            f"{name} is no audit log of Redshift",
            hint="wanted: a connection log, user log or user activity log, plain or gz",
        )
    at = file.at or now.astimezone(UTC)
    is_named = bool(file.cluster and file.at)
    made = f"{ACCOUNT}_redshift_{region}_{cluster}_{LOGS[kind]}_{at:%Y-%m-%dT%H:%M}.gz"
    return Landing(
        name=(file.name if packed or file.name.endswith(".gz") else f"{file.name}.gz")
        if is_named
        else made,
        kind=kind,
        cluster=file.cluster or cluster,
        at=at,
        account=file.account or ACCOUNT,
        region=file.region or region,
        data=data if packed else gzip.compress(data, mtime=0),
    )


def land(clients: Clients, audit: Audit, log: Landing) -> str:
    """Put a log where Redshift would: into the bucket, or the group of CloudWatch. Says where."""
    if audit.bucket is not None:
        key = f"{audit.prefix}/{log.key}" if audit.prefix else log.key
        with calling("s3:PutObject", f"{audit.bucket}/{key}"):
            clients.client("s3").put_object(Bucket=audit.bucket, Key=key, Body=log.data)
        return f"s3://{audit.bucket}/{key}"
    group = next((name for name in audit.log_groups if name.endswith(f"/{LOGS[log.kind]}")), None)
    if group is None:
        raise Refused(f"the config has no bucket, and no log group that ends in {LOGS[log.kind]}")
    _put_events(clients, group, log)
    return group


def _put_events(clients: Clients, group: str, log: Landing) -> None:
    logs = clients.client("logs")
    stream = f"{log.cluster}-{log.at:%Y-%m-%d}"
    exists = logs.exceptions.ResourceAlreadyExistsException
    with calling("logs:CreateLogStream", f"{group} {stream}"), suppress(exists):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    at_ms = int(datetime.now(UTC).timestamp() * 1000)
    lines = gzip.decompress(log.data).decode("utf-8", "backslashreplace").split("\n")
    with calling("logs:PutLogEvents", f"{group} {stream}"):
        logs.put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": at_ms, "message": line} for line in lines if line],
        )
