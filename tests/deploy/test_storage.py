"""Buckets of the stack, and what foreign buckets and other events are brought by."""

from __future__ import annotations

import json
from typing import Any, cast

from tests.deploy.samples import QUEUE, Settings, make_blueprint, make_function
from tests.deploy.test_cfn_lint import findings
from triggerfish.blueprint import Bucket, BucketEvents, EventRule, LogSource
from triggerfish.deploy.template import build_template

EVENTS = BucketEvents(
    id="SampleLogs",
    name="shop-local-sample-logs",
    bucket="example-audit-logs",
    prefix="redshift/",
    queue="Sample",
)
CALLS = EventRule(
    id="SampleCalls",
    name="shop-local-sample-calls",
    description="Calls",
    pattern='{"source": ["aws.redshift"]}',
    queue="Sample",
)
BUCKET_ARN = "arn:${AWS::Partition}:s3:::example-audit-logs"
ACCOUNT = {"Ref": "AWS::AccountId"}


def build(**changes: Any) -> dict[str, Any]:
    blueprint = make_blueprint(**changes)
    return build_template([("sample", blueprint)], stack="shop-local", functions=Settings())


def properties(template: dict[str, Any], name: str) -> dict[str, Any]:
    return cast("dict[str, Any]", template["Resources"][name]["Properties"])


def test_a_bucket_is_private_encrypted_versioned_and_outlives_the_stack() -> None:
    template = build(buckets=(Bucket(id="Sample"),))
    assert template["Resources"]["SampleBucket"] == {
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
    }
    assert properties(template, "SampleBucketPolicy")["PolicyDocument"]["Statement"] == [
        {
            "Sid": "RefuseWithoutTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [
                {"Fn::GetAtt": ["SampleBucket", "Arn"]},
                {"Fn::Sub": "${SampleBucket.Arn}/*"},
            ],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


def test_objects_of_a_foreign_bucket_come_by_a_rule_of_the_stack() -> None:
    template = build(bucket_events=(EVENTS,))
    assert template["Resources"]["SampleLogsRule"] == {
        "Type": "AWS::Events::Rule",
        "DependsOn": ["SampleQueuePolicy", "SampleDeadLetterQueuePolicy"],
        "Properties": {
            "Name": "shop-local-sample-logs",
            "Description": "Objects created in example-audit-logs",
            "EventPattern": {
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {
                    "bucket": {"name": ["example-audit-logs"]},
                    "object": {"key": [{"prefix": "redshift/"}]},
                },
            },
            "Targets": [
                {
                    "Id": "queue",
                    "Arn": {"Fn::GetAtt": ["SampleQueue", "Arn"]},
                    "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["SampleDeadLetterQueue", "Arn"]}},
                }
            ],
        },
    }


def test_only_the_rule_and_the_bucket_may_send_and_only_of_this_account() -> None:
    template = build(bucket_events=(EVENTS,), topics=(), outputs=())
    queue = {"Fn::GetAtt": ["SampleQueue", "Arn"]}
    home = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}"
    first, second, _ = properties(template, "SampleQueuePolicy")["PolicyDocument"]["Statement"]
    assert first == {
        "Sid": "SampleLogsRule",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {
            "ArnEquals": {"aws:SourceArn": {"Fn::Sub": f"{home}:rule/shop-local-sample-logs"}},
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
        },
    }
    assert second["Principal"] == {"Service": "s3.amazonaws.com"}
    assert second["Condition"] == {
        "ArnEquals": {"aws:SourceArn": {"Fn::Sub": BUCKET_ARN}},
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
    }


def test_a_bucket_without_a_prefix_tells_of_all_its_objects() -> None:
    events = BucketEvents(id="Logs", name="logs", bucket="b-1", prefix="", queue="Sample")
    pattern = properties(build(bucket_events=(events,)), "LogsRule")["EventPattern"]
    assert pattern["detail"] == {"bucket": {"name": ["b-1"]}}


def test_other_events_come_by_a_rule_with_their_own_pattern() -> None:
    template = build(event_rules=(CALLS,))
    assert properties(template, "SampleCallsRule")["EventPattern"] == {"source": ["aws.redshift"]}
    policy = properties(template, "SampleDeadLetterQueuePolicy")["PolicyDocument"]["Statement"]
    assert [entry["Sid"] for entry in policy][1] == "SampleCallsRule"


def test_a_log_group_calls_the_function_and_no_other_group_may() -> None:
    source = LogSource(id="Sample1", group="/aws/redshift/shop/userlog")
    template = build(functions=(make_function(sources=(source,)),))
    assert properties(template, "Sample1LogPermission") == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": {"Ref": "SampleFunction"},
        "Principal": "logs.amazonaws.com",
        "SourceAccount": ACCOUNT,
        "SourceArn": {
            "Fn::Sub": "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}"
            ":log-group:/aws/redshift/shop/userlog:*"
        },
    }
    assert template["Resources"]["Sample1LogFilter"] == {
        "Type": "AWS::Logs::SubscriptionFilter",
        "DependsOn": ["Sample1LogPermission"],
        "Properties": {
            "DestinationArn": {"Fn::GetAtt": ["SampleFunction", "Arn"]},
            "FilterName": "shop-local-sample",
            "FilterPattern": "",
            "LogGroupName": "/aws/redshift/shop/userlog",
        },
    }


def test_cfn_lint_finds_nothing_to_say() -> None:
    source = LogSource(id="Sample1", group="/aws/redshift/shop/userlog")
    template = build(
        functions=(make_function(sources=(source,)),),
        queues=(QUEUE,),
        buckets=(Bucket(id="Sample"),),
        bucket_events=(EVENTS,),
        event_rules=(CALLS,),
    )
    assert findings(json.dumps(template)) == []
