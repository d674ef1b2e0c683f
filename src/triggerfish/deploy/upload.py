"""Artifacts and large templates, kept in S3 by their content."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from triggerfish.deploy import limits
from triggerfish.runtime.aws import calling, error_code

if TYPE_CHECKING:
    from collections.abc import Iterable

    from types_boto3_s3 import S3Client

    from triggerfish.deploy.package import Artifact
    from triggerfish.runtime.aws import Clients


class CodeBucket:
    """The account's bucket for all stacks of a region, made when first needed.

    Every call says whose bucket it has to be: a stranger who made one of this name gets nothing.
    """

    def __init__(self, clients: Clients, *, account: str, region: str) -> None:
        self.name = f"triggerfish-{account}-{region}"
        self._account = account
        self._region = region
        self._s3: S3Client = clients.client("s3")

    def upload(self, artifacts: Iterable[Artifact]) -> list[str]:
        """Send what isn't there yet. The keys of what was sent."""
        return [
            artifact.key
            for artifact in artifacts
            if self._put_if_absent(artifact.key, artifact.path.read_bytes())
        ]

    def template_url(self, text: str) -> str:
        """Where CloudFormation reads a template that is too large to be sent along."""
        content = text.encode()
        key = f"templates/{hashlib.sha256(content).hexdigest()}.json"
        self._put_if_absent(key, content)
        return f"{self._s3.meta.endpoint_url.rstrip('/')}/{self.name}/{key}"

    def _put_if_absent(self, key: str, content: bytes) -> bool:
        if self._size(key) == len(content):
            return False
        try:
            self._put(key, content)
        except _NoBucket:
            self._create()
            self._put(key, content)
        return True

    def _size(self, key: str) -> int | None:
        with calling("s3:HeadObject", self._what(key)):
            try:
                head = self._s3.head_object(
                    Bucket=self.name, Key=key, ExpectedBucketOwner=self._account
                )
            except self._s3.exceptions.ClientError as error:
                # An absent object is a 403 to whoever may not list the bucket.
                if error_code(error) in {"404", "403", "NoSuchKey", "NoSuchBucket", "NotFound"}:
                    return None
                raise
        return head["ContentLength"]

    def _put(self, key: str, content: bytes) -> None:
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        with calling("s3:PutObject", self._what(key)):
            try:
                self._s3.put_object(
                    Bucket=self.name,
                    Key=key,
                    Body=content,
                    ChecksumSHA256=digest,
                    ExpectedBucketOwner=self._account,
                )
            except self._s3.exceptions.ClientError as error:
                if error_code(error) == "NoSuchBucket":
                    raise _NoBucket from error
                raise

    def _create(self) -> None:
        with calling("s3:CreateBucket", f"bucket {self.name}"):
            if self._region == "us-east-1":  # the one region that mustn't be named
                self._s3.create_bucket(Bucket=self.name)
            else:
                self._s3.create_bucket(
                    Bucket=self.name,
                    CreateBucketConfiguration={"LocationConstraint": self._region},  # type: ignore[typeddict-item]
                )
        with calling("s3:PutBucketPublicAccessBlock", f"bucket {self.name}"):
            self._s3.put_public_access_block(
                Bucket=self.name,
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "IgnorePublicAcls": True,
                    "BlockPublicPolicy": True,
                    "RestrictPublicBuckets": True,
                },
            )

    def _what(self, key: str) -> str:
        return f"s3://{self.name}/{key}"


class _NoBucket(Exception):
    """The bucket isn't there yet."""


def needs_bucket(template: str) -> bool:
    """Whether CloudFormation doesn't take `template` along with the request."""
    return len(template.encode()) > limits.TEMPLATE_INLINE_BYTES
