"""Buckets of the stack, and the rules by which foreign buckets wake a queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from triggerfish.blueprint import EventRule
from triggerfish.deploy.permissions import policy
from triggerfish.deploy.references import expand, reference

if TYPE_CHECKING:
    from triggerfish.blueprint import Bucket, BucketEvents

    Resources = dict[str, dict[str, object]]


def bucket_resources(bucket: Bucket) -> Resources:
    """`bucket` and who may reach it: this account by its own policies, and nobody without TLS.

    What is in it is evidence, so it stays when the stack goes, and every version of it.
    """
    logical = f"{bucket.id}Bucket"
    arn = reference(f"{logical}.Arn")
    without_tls: dict[str, object] = {
        "Sid": "RefuseWithoutTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, expand(f"${{{logical}.Arn}}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {
        logical: {
            "Type": "AWS::S3::Bucket",
            "DeletionPolicy": "RetainExceptOnCreate",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
                    ]
                },
                "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
                "PublicAccessBlockConfiguration": {
                    "BlockPublicAcls": True,
                    "BlockPublicPolicy": True,
                    "IgnorePublicAcls": True,
                    "RestrictPublicBuckets": True,
                },
                "VersioningConfiguration": {"Status": "Enabled"},
            },
        },
        f"{logical}Policy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": reference(logical), "PolicyDocument": policy([without_tls])},
        },
    }


def bucket_events_rule(events: BucketEvents) -> EventRule:
    """The rule that hands every created object to the queue.

    EventBridge has one event for all ways to make an object (`Put`, `Post`, `Copy` and
    `CompleteMultipartUpload`), as `s3:ObjectCreated:*`.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
    """
    detail: dict[str, object] = {"bucket": {"name": [events.bucket]}}
    if events.prefix:
        detail["object"] = {"key": [{"prefix": events.prefix}]}
    pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}
    return EventRule(
        id=events.id,
        name=events.name,
        description=f"Objects created in {events.bucket}",
        pattern=json.dumps(pattern),
        queue=events.queue,
    )


def event_rule_resources(rule: EventRule) -> Resources:
    """`rule`, which hands events to its queue, and to the dead letters what that doesn't take."""
    queue, dead = f"{rule.queue}Queue", f"{rule.queue}DeadLetterQueue"
    return {
        f"{rule.id}Rule": {
            "Type": "AWS::Events::Rule",
            # Events that come before the queue lets them in would be lost.
            "DependsOn": [f"{queue}Policy", f"{dead}Policy"],
            "Properties": {
                "Name": rule.name,
                "Description": rule.description,
                "EventPattern": json.loads(rule.pattern),
                "Targets": [
                    {
                        "Id": "queue",
                        "Arn": reference(f"{queue}.Arn"),
                        "DeadLetterConfig": {"Arn": reference(f"{dead}.Arn")},
                    }
                ],
            },
        }
    }


def rule_sender(rule: EventRule, queue: str) -> dict[str, object]:
    """Lets `rule` send to the queue with this logical id.

    The rule waits for this policy, so it is named here and not referred to.
    """
    home = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}"
    return _sender(
        f"{rule.id}Rule", "events.amazonaws.com", queue, expand(f"{home}:rule/{rule.name}")
    )


def bucket_sender(events: BucketEvents, queue: str) -> dict[str, object]:
    """Lets S3 send to the queue for the bucket, for who would rather have it so."""
    arn = f"arn:${{AWS::Partition}}:s3:::{events.bucket}"
    return _sender(f"{events.id}Bucket", "s3.amazonaws.com", queue, expand(arn))


def _sender(sid: str, service: str, queue: str, source: object) -> dict[str, object]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": reference(f"{queue}.Arn"),
        "Condition": {
            "ArnEquals": {"aws:SourceArn": source},
            "StringEquals": {"aws:SourceAccount": reference("AWS::AccountId")},
        },
    }
