"""S3: reading objects piece by piece, listing, writing ours, having a bucket announce itself."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from triggerfish.blueprint import Call
from triggerfish.errors import Refused, Unavailable
from triggerfish.runtime.aws import calling, error_code, translate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from botocore.exceptions import ClientError
    from types_boto3_s3 import S3Client

BUCKET_VARIABLE = "TRIGGERFISH_AUDIT_BUCKET"
"""The variable of the function that names the stack's own bucket."""

PIECE_BYTES = 8 * 1024 * 1024
"""Of one request. A request a piece, and no open connection while a piece is looked at: S3 closes
those that stand still, and an object may take minutes."""

ATTEMPTS = 4
"""For a piece whose connection breaks; botocore repeats requests but not the reading of a body."""

_GONE = {"404", "NoSuchKey", "NoSuchVersion", "MethodNotAllowed"}
"""405 is what S3 says of a version that is a delete marker."""
_FORBIDDEN = {"403", "AccessDenied", "AllAccessDisabled", "InvalidObjectState"}
"""The last one is an object that was moved to an archive and has to be restored first."""

_THERE_ALREADY = {"412", "PreconditionFailed"}
_SWITCH = "EventBridgeConfiguration"


class ObjectGone(Refused):
    """The object was deleted before it was read."""


class ObjectForbidden(Refused):
    """The object is there, and may not be read."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An object as a listing shows it: without a version."""

    bucket: str
    key: str
    etag: str
    size: int
    modified_at: datetime


class ObjectReader(Protocol):
    """An open object: what it is, and its bytes in order."""

    @property
    def etag(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def size(self) -> int: ...
    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, however many are at hand; none at the end."""


class S3Objects:
    """S3 as the audit trigger uses it. Raises ObjectGone, ObjectForbidden, Refused, Unavailable."""

    def __init__(self, client: S3Client, *, piece_bytes: int = PIECE_BYTES) -> None:
        self._client = client
        self._piece_bytes = piece_bytes

    def open(self, bucket: str, key: str, version: str = "") -> S3Reader:
        """The object as it is now, or one version of it; its first bytes are read."""
        return S3Reader(self._client, bucket, key, version, self._piece_bytes)

    def listing(self, bucket: str, prefix: str) -> Iterator[Listed]:
        """Every object whose key begins with `prefix`, in order of the keys."""
        for page in self._pages(bucket, prefix, ""):
            for item in page.get("Contents", []):
                yield Listed(
                    bucket=bucket,
                    key=item["Key"],
                    etag=item["ETag"].strip('"'),
                    size=item["Size"],
                    modified_at=item["LastModified"],
                )

    def folders(self, bucket: str, prefix: str) -> list[str]:
        """The prefixes one slash further down, each with its final slash."""
        return [
            found["Prefix"]
            for page in self._pages(bucket, prefix, "/")
            for found in page.get("CommonPrefixes", [])
        ]

    def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Write an object, or a new version of it."""
        with calling("s3:PutObject", f"{bucket}/{key}"):
            self._client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def keep(self, bucket: str, key: str, body: bytes) -> tuple[str, str]:
        """Write an object unless it is there; gives the etag and the version of what is there."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - only where AWS is called

        what = f"{bucket}/{key}"
        answer: Any
        try:
            with calling("s3:PutObject", what, pass_client_errors=True):
                answer = self._client.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            if error_code(error) not in _THERE_ALREADY:
                raise translate(error, f"s3:PutObject, {what}") from error
            with calling("s3:HeadObject", what):
                answer = self._client.head_object(Bucket=bucket, Key=key)
        return answer["ETag"].strip('"'), str(answer.get("VersionId") or "")

    def announce(self, bucket: str) -> bool:
        """Have the bucket tell EventBridge of its objects; False where it did already.

        S3 knows a bucket's notifications only as a whole, so what is there is written back with
        the one switch added: no queue, topic or function of anybody's is touched.
        """
        kept = self._notifications(bucket)
        if _SWITCH in kept:
            return False
        with calling("s3:PutBucketNotification", bucket):
            self._client.put_bucket_notification_configuration(
                Bucket=bucket,
                NotificationConfiguration=kept | {_SWITCH: {}},
                SkipDestinationValidation=True,  # the others' destinations are not our business
            )
        return True

    def announces(self, bucket: str) -> bool:
        return _SWITCH in self._notifications(bucket)

    def _notifications(self, bucket: str) -> Any:
        with calling("s3:GetBucketNotification", bucket):
            found: Any = self._client.get_bucket_notification_configuration(Bucket=bucket)
        return {name: value for name, value in found.items() if name != "ResponseMetadata"}

    def _pages(self, bucket: str, prefix: str, delimiter: str) -> Iterator[Any]:
        request: Any = {"Bucket": bucket, "Prefix": prefix}
        if delimiter:
            request["Delimiter"] = delimiter
        while True:
            with calling("s3:ListObjectsV2", f"{bucket}/{prefix}"):
                page = self._client.list_objects_v2(**request)
            yield page
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]


class S3Reader:
    """Bytes of one object, fetched in pieces that are all of one etag."""

    def __init__(
        self, client: S3Client, bucket: str, key: str, version: str, piece_bytes: int
    ) -> None:
        self._client = client
        self._where: dict[str, Any] = {"Bucket": bucket, "Key": key}
        if version:
            self._where["VersionId"] = version
        self._what = f"{bucket}/{key}"
        self._piece_bytes = piece_bytes
        self._fetched = 0
        self._piece = memoryview(b"")
        self.etag = ""
        self.version = version
        self.size = 0
        self._fetch()

    def read(self, size: int = -1, /) -> bytes:
        if not self._piece and self._fetched < self.size:
            self._fetch()
        count = len(self._piece) if size < 0 else size
        taken, self._piece = bytes(self._piece[:count]), self._piece[count:]
        return taken

    def _fetch(self) -> None:
        last = self._fetched + self._piece_bytes - 1
        request = {**self._where, "Range": f"bytes={self._fetched}-{last}"}
        if self.etag:
            request["IfMatch"] = f'"{self.etag}"'
        for attempt in range(ATTEMPTS):
            try:
                body = self._request(request)
            except Unavailable:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                break
        self._piece = memoryview(body)
        self._fetched += len(body)

    def _request(self, request: dict[str, Any]) -> bytes:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - only where AWS is called

        try:
            with calling("s3:GetObject", self._what, pass_client_errors=True):
                answer = self._client.get_object(**request)
                self._learn(answer)
                body = answer["Body"].read()
        except ClientError as error:
            if error_code(error) in {"416", "InvalidRange"}:
                return self._empty()
            raise _said(error, self._what) from error
        if self._fetched + len(body) < min(self.size, self._fetched + self._piece_bytes):
            raise Unavailable(f"s3:GetObject, {self._what}: the connection ended too early")
        return body

    def _learn(self, answer: Any) -> None:
        self.etag = str(answer.get("ETag", "")).strip('"')
        self.version = str(answer.get("VersionId") or "")
        if self.version == "null":  # written before the bucket was versioned
            self.version = ""
        total = str(answer.get("ContentRange", "")).rpartition("/")[2]
        self.size = int(total) if total.isdigit() else int(answer["ContentLength"])

    def _empty(self) -> bytes:
        """An object of no bytes has no range: ask without one."""
        request = {name: self._where[name] for name in self._where}
        with _translated(self._what), calling("s3:GetObject", self._what, pass_client_errors=True):
            answer = self._client.get_object(**request)
            self._learn(answer)
            return answer["Body"].read()


@contextmanager
def _translated(what: str) -> Iterator[None]:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - only where AWS is called

    try:
        yield
    except ClientError as error:
        raise _said(error, what) from error


def _said(error: ClientError, what: str) -> Exception:
    code = error_code(error)
    if code in _GONE:
        return ObjectGone(f"{what} was deleted before it was read")
    if code in _FORBIDDEN:
        return ObjectForbidden(
            f"{what} may not be read: {code}",
            hint="the bucket's policy and, with a key of your own, the key's must let the function",
        )
    if code in _THERE_ALREADY:
        return Unavailable(f"{what} was replaced while it was read")
    return translate(error, f"s3:GetObject, {what}")


def read_calls(bucket: str, prefix: str) -> tuple[Call, ...]:
    """What reading the logs takes. Who may list is told that an object is gone; who may not, 403.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    arn = f"arn:${{AWS::Partition}}:s3:::{bucket}"
    inside = f"{prefix}/*" if prefix else "*"
    within = (("StringLike", "s3:prefix", (inside,)),) if prefix else ()
    return (
        Call("s3:GetObject", f"{arn}/{inside}"),
        Call("s3:GetObjectVersion", f"{arn}/{inside}"),
        Call("s3:ListBucket", arn, within),
    )


def own_calls(bucket_id: str) -> tuple[Call, ...]:
    """What the stack's own bucket takes: keeping batches and reports, and reading the batches."""
    arn = f"${{{bucket_id}Bucket.Arn}}"
    return (
        Call("s3:GetObject", f"{arn}/{BATCHES}*"),
        Call("s3:GetObjectVersion", f"{arn}/{BATCHES}*"),
        Call("s3:ListBucket", arn),
        Call("s3:PutObject", f"{arn}/{BATCHES}*"),
        Call("s3:PutObject", f"{arn}/{REPORTS}*"),
    )


BATCHES = "cloudwatch/"
"""Batches of CloudWatch Logs in the stack's own bucket, kept before they are acknowledged."""
REPORTS = "reports/"
