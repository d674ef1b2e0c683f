from __future__ import annotations

import json
from typing import Any, cast

import pytest

from tests.deploy.samples import QUEUE, TOPIC, VPC, Settings, make_blueprint, make_function
from triggerfish.blueprint import Blueprint, QueueSource, ScheduleSource, Topic
from triggerfish.deploy.template import build_template

ACCOUNT = {"Ref": "AWS::AccountId"}


def build(**changes: Any) -> dict[str, Any]:
    return build_template(
        [("sample", make_blueprint(**changes))], stack="shop-local", functions=Settings()
    )


def properties(template: dict[str, Any], name: str) -> dict[str, Any]:
    return cast("dict[str, Any]", template["Resources"][name]["Properties"])


def get(name: str, attribute: str = "Arn") -> dict[str, object]:
    return {"Fn::GetAtt": [name, attribute]}


def without_tls(action: str, resource: object) -> dict[str, object]:
    return {
        "Sid": "RefuseWithoutTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def test_a_blueprint_gives_these_parameters_resources_and_outputs() -> None:
    template = build()

    assert template["AWSTemplateFormatVersion"] == "2010-09-09"
    assert template["Description"] == "Triggerfish: sample (shop-local)"
    assert template["Parameters"] == {
        "CodeBucket": {"Type": "String", "Description": "The bucket that holds the artifacts"},
        "SampleCodeKey": {
            "Type": "String",
            "Description": "The key of the artifact of shop-local-sample",
        },
        "ZoneInternal": {
            "Type": "AWS::Route53::HostedZone::Id",
            "Description": "The private zone internal.example.com",
        },
    }
    assert {name: entry["Type"] for name, entry in template["Resources"].items()} == {
        "StateTable": "AWS::DynamoDB::Table",
        "ScheduleGroup": "AWS::Scheduler::ScheduleGroup",
        "SampleDeadLetterQueue": "AWS::SQS::Queue",
        "SampleQueue": "AWS::SQS::Queue",
        "SampleQueuePolicy": "AWS::SQS::QueuePolicy",
        "SampleDeadLetterQueuePolicy": "AWS::SQS::QueuePolicy",
        "SampleTopic": "AWS::SNS::Topic",
        "SampleTopicPolicy": "AWS::SNS::TopicPolicy",
        "SampleSubscription": "AWS::SNS::Subscription",
        "SampleLogGroup": "AWS::Logs::LogGroup",
        "SampleRole": "AWS::IAM::Role",
        "SampleFunction": "AWS::Lambda::Function",
        "SampleScheduleRole": "AWS::IAM::Role",
        "SampleInvokeConfig": "AWS::Lambda::EventInvokeConfig",
        "SampleSampleMapping": "AWS::Lambda::EventSourceMapping",
        "SampleSweepSchedule": "AWS::Scheduler::Schedule",
    }
    assert template["Outputs"] == {
        "StateTableName": {
            "Description": "The table that holds all state",
            "Value": {"Ref": "StateTable"},
        },
        "SampleTopicArn": {"Value": {"Ref": "SampleTopic"}},
    }


def test_equal_blueprints_give_equal_bytes() -> None:
    assert json.dumps(build()) == json.dumps(build())


def test_the_state_table_outlives_the_stack_but_not_a_failed_first_deploy() -> None:
    assert build()["Resources"]["StateTable"] == {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "RetainExceptOnCreate",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "TableName": "shop-local-state",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True},
        },
    }


def test_a_queue_redrives_into_its_dead_letters_and_no_other_queue_may() -> None:
    template = build()

    assert properties(template, "SampleQueue") == {
        "QueueName": "shop-local-sample",
        "VisibilityTimeout": 360,
        "MessageRetentionPeriod": 345600,
        "SqsManagedSseEnabled": True,
        "RedrivePolicy": {
            "deadLetterTargetArn": get("SampleDeadLetterQueue"),
            "maxReceiveCount": 5,
        },
    }
    assert properties(template, "SampleDeadLetterQueue") == {
        "QueueName": "shop-local-sample-dead",
        "MessageRetentionPeriod": 1209600,
        "SqsManagedSseEnabled": True,
        "RedriveAllowPolicy": {
            "redrivePermission": "byQueue",
            "sourceQueueArns": [
                {
                    "Fn::Sub": (
                        "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}"
                        ":shop-local-sample"
                    )
                }
            ],
        },
    }


@pytest.mark.parametrize("queue", ["SampleQueue", "SampleDeadLetterQueue"])
def test_only_the_topic_of_this_account_may_send_to_its_queues(queue: str) -> None:
    assert properties(build(), f"{queue}Policy") == {
        "Queues": [{"Ref": queue}],
        "PolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "SampleTopic",
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": get(queue),
                    "Condition": {
                        "ArnEquals": {"aws:SourceArn": {"Ref": "SampleTopic"}},
                        "StringEquals": {"aws:SourceAccount": ACCOUNT},
                    },
                },
                without_tls("sqs:*", get(queue)),
            ],
        },
    }


def test_auto_scaling_publishes_as_its_service_linked_role() -> None:
    root = "arn:${AWS::Partition}:iam::${AWS::AccountId}"

    assert properties(build(), "SampleTopicPolicy") == {
        "Topics": [{"Ref": "SampleTopic"}],
        "PolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": {"Fn::Sub": f"{root}:root"}},
                    "Action": "sns:Publish",
                    "Resource": {"Ref": "SampleTopic"},
                    "Condition": {
                        "ArnLike": {
                            "aws:PrincipalArn": {
                                "Fn::Sub": (
                                    f"{root}:role/aws-service-role/autoscaling.amazonaws.com/"
                                    "AWSServiceRoleForAutoScaling*"
                                )
                            }
                        }
                    },
                },
                without_tls("sns:Publish", {"Ref": "SampleTopic"}),
            ],
        },
    }


def test_another_service_publishes_as_itself_for_this_account_only() -> None:
    topic = Topic(
        id="Sample", name="shop-local-sample", queue="Sample", publishers=("events.amazonaws.com",)
    )

    document = properties(build(topics=(topic,)), "SampleTopicPolicy")["PolicyDocument"]

    assert document["Statement"][0] == {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": {"Ref": "SampleTopic"},
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }


def test_a_topic_delivers_once_the_queues_let_it_in() -> None:
    assert build()["Resources"]["SampleSubscription"] == {
        "Type": "AWS::SNS::Subscription",
        "DependsOn": ["SampleQueuePolicy", "SampleDeadLetterQueuePolicy"],
        "Properties": {
            "TopicArn": {"Ref": "SampleTopic"},
            "Protocol": "sqs",
            "Endpoint": get("SampleQueue"),
            "RawMessageDelivery": False,
            "RedrivePolicy": {"deadLetterTargetArn": get("SampleDeadLetterQueue")},
        },
    }


def test_a_function_is_its_blueprint_with_the_code_from_parameters() -> None:
    function = make_function(vpc=VPC, reserved_concurrency=3, tmp_mb=1024)

    assert properties(build(function=function), "SampleFunction") == {
        "FunctionName": "shop-local-sample",
        "Description": "A sample",
        "Runtime": "python3.13",
        "Architectures": ["arm64"],
        "Handler": "triggerfish.runtime.clock.handler",
        "Role": get("SampleRole"),
        "Code": {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "SampleCodeKey"}},
        "MemorySize": 256,
        "Timeout": 60,
        "EphemeralStorage": {"Size": 1024},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": {"Ref": "SampleLogGroup"}},
        "Environment": {
            "Variables": {
                "TRIGGERFISH_PARAMETERS": {
                    "Fn::Sub": '{"zone internal.example.com":"${ZoneInternal}"}'
                },
                "TRIGGERFISH_QUEUE_URL": {"Ref": "SampleQueue"},
                "TRIGGERFISH_STAGE": "local",
                "TRIGGERFISH_TABLE": {"Ref": "StateTable"},
            }
        },
        "ReservedConcurrentExecutions": 3,
        "VpcConfig": {
            "SubnetIds": ["subnet-11111111", "subnet-22222222"],
            "SecurityGroupIds": ["sg-11111111"],
        },
    }


def test_what_a_function_does_not_ask_for_is_left_to_lambda() -> None:
    made = properties(build(function=make_function(environment=())), "SampleFunction")

    assert made.keys() & {"Environment", "ReservedConcurrentExecutions", "VpcConfig"} == set()


def test_a_functions_logs_and_role_are_its_own() -> None:
    template = build()

    assert properties(template, "SampleLogGroup") == {
        "LogGroupName": "/aws/lambda/shop-local-sample",
        "RetentionInDays": 30,
    }
    role = properties(template, "SampleRole")
    assert role["AssumeRolePolicyDocument"] == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    assert [policy["PolicyName"] for policy in role["Policies"]] == ["calls"]


def test_a_queue_feeds_its_function_with_partial_failures() -> None:
    assert properties(build(), "SampleSampleMapping") == {
        "FunctionName": {"Ref": "SampleFunction"},
        "EventSourceArn": get("SampleQueue"),
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 0,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 4},
    }


def test_a_schedule_calls_its_function_by_a_role_for_this_stacks_group() -> None:
    template = build()

    assert properties(template, "ScheduleGroup") == {"Name": "shop-local"}
    assert properties(template, "SampleScheduleRole") == {
        "Description": "Calls shop-local-sample on schedule",
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "scheduler.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                    "Condition": {
                        "StringEquals": {
                            "aws:SourceAccount": ACCOUNT,
                            "aws:SourceArn": get("ScheduleGroup"),
                        }
                    },
                }
            ],
        },
        "Policies": [
            {
                "PolicyName": "calls",
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": ["lambda:InvokeFunction"],
                            "Resource": get("SampleFunction"),
                        },
                        {
                            "Effect": "Allow",
                            "Action": ["sqs:SendMessage"],
                            "Resource": get("SampleDeadLetterQueue"),
                        },
                    ],
                },
            }
        ],
    }
    assert template["Resources"]["SampleSweepSchedule"] == {
        "Type": "AWS::Scheduler::Schedule",
        "DependsOn": ["SampleInvokeConfig"],
        "Properties": {
            "Name": "SampleSweep",
            "GroupName": {"Ref": "ScheduleGroup"},
            "ScheduleExpression": "rate(1 minute)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": get("SampleFunction"),
                "RoleArn": get("SampleScheduleRole"),
                "Input": '{"sweep":true}',
                "RetryPolicy": {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 3},
                "DeadLetterConfig": {"Arn": get("SampleDeadLetterQueue")},
            },
        },
    }


def test_a_failed_scheduled_run_is_kept_and_not_repeated() -> None:
    assert properties(build(), "SampleInvokeConfig") == {
        "FunctionName": {"Ref": "SampleFunction"},
        "Qualifier": "$LATEST",
        "MaximumEventAgeInSeconds": 300,
        "MaximumRetryAttempts": 0,
        "DestinationConfig": {"OnFailure": {"Destination": get("SampleDeadLetterQueue")}},
    }


def test_a_function_with_schedules_alone_has_dead_letters_of_its_own() -> None:
    schedule = ScheduleSource(id="Daily", expression="cron(0 6 * * ? *)", input="{}")
    template = build(
        queues=(),
        topics=(),
        outputs=(),
        function=make_function(sources=(schedule,), calls=(), environment=()),
    )

    assert properties(template, "SampleScheduleDeadLetterQueue") == {
        "QueueName": "shop-local-sample-schedule-dead",
        "MessageRetentionPeriod": 1209600,
        "SqsManagedSseEnabled": True,
        "RedriveAllowPolicy": {"redrivePermission": "denyAll"},
    }
    target = properties(template, "DailySchedule")["Target"]
    assert target["DeadLetterConfig"] == {"Arn": get("SampleScheduleDeadLetterQueue")}


def test_a_stack_without_schedules_has_no_schedule_group() -> None:
    mapping = QueueSource(queue="Sample", batch_size=1)

    template = build(function=make_function(sources=(mapping,)))

    assert "ScheduleGroup" not in template["Resources"]


def test_two_triggers_share_the_state_table() -> None:
    other = Blueprint(
        functions=(
            make_function(
                id="Other", name="shop-local-other", sources=(), calls=(), environment=()
            ),
        )
    )

    template = build_template(
        [("sample", make_blueprint()), ("other", other)], stack="shop-local", functions=Settings()
    )

    tables = [
        name
        for name, entry in cast("dict[str, Any]", template["Resources"]).items()
        if entry["Type"] == "AWS::DynamoDB::Table"
    ]
    assert tables == ["StateTable"]
    assert template["Description"] == "Triggerfish: sample, other (shop-local)"


def test_a_name_used_twice_is_refused() -> None:
    twice = [("one", make_blueprint()), ("two", make_blueprint())]

    with pytest.raises(ValueError, match=r"^two: the template has SampleDeadLetterQueue, "):
        build_template(twice, stack="shop-local", functions=Settings())


def test_what_a_blueprint_refers_to_has_to_exist() -> None:
    blueprint = make_blueprint(queues=(QUEUE,), topics=(TOPIC,), parameters=())

    with pytest.raises(ValueError, match="ZoneInternal") as refused:
        build_template([("sample", blueprint)], stack="shop-local", functions=Settings())

    assert str(refused.value) == (
        "Resources.SampleRole refers to 'ZoneInternal', "
        "which is neither a resource nor a parameter\n"
        "Resources.SampleFunction refers to 'ZoneInternal', "
        "which is neither a resource nor a parameter"
    )
