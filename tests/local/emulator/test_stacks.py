from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.local.emulator import kit

if TYPE_CHECKING:
    from tests.local.emulator.kit import Emulator

QUEUE = {"Type": "AWS::SQS::Queue"}
ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    },
}


def queue(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


@pytest.mark.cloud
@pytest.mark.parametrize("how", ["stack", "change set"])
@pytest.mark.parametrize(
    ("resources", "message"),
    [
        pytest.param(
            {"A": queue(QueueName={"Ref": "Nothing"})},
            "Template format error: Unresolved resource dependencies [Nothing] in the Resources "
            "block of the template",
            id="Ref",
        ),
        pytest.param(
            {"A": queue(QueueName={"Fn::Sub": "${Nothing}-${AWS::Region}"})},
            "Template format error: Unresolved resource dependencies [Nothing] in the Resources "
            "block of the template",
            id="Sub",
        ),
        pytest.param(
            {"A": {**QUEUE, "DependsOn": "Nothing"}},
            "Template format error: Unresolved resource dependencies [Nothing] in the Resources "
            "block of the template",
            id="DependsOn",
        ),
        pytest.param(
            {"A": queue(QueueName={"Fn::GetAtt": ["Nothing", "Arn"]})},
            "Template error: instance of Fn::GetAtt references undefined resource Nothing",
            id="GetAtt",
        ),
        pytest.param(
            {"A": {**QUEUE, "DependsOn": "B"}, "B": {**QUEUE, "DependsOn": "A"}},
            "Circular dependency between resources: [A, B]",
            id="cycle",
        ),
    ],
)
def test_a_template_that_hangs_in_the_air_is_refused(
    emulator: Emulator, resources: dict[str, Any], message: str, how: str
) -> None:
    cloudformation = emulator.client("cloudformation")
    request = {"StackName": kit.name(), "TemplateBody": json.dumps({"Resources": resources})}
    if how == "change set":
        request |= {"ChangeSetName": "c", "ChangeSetType": "CREATE"}
    with pytest.raises(ClientError) as caught:
        getattr(cloudformation, f"create_{how.replace(' ', '_')}")(**request)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert caught.value.response["Error"]["Message"] == message


@pytest.mark.cloud
def test_an_unknown_property_fails_the_stack(emulator: Emulator) -> None:
    """AWS finds it before it makes anything, and tells DescribeEvents; here the resource fails."""
    stack = kit.name()
    found = kit.deploy(emulator, stack, {"A": queue(Visibility=30, Name="x")})
    assert found["StackStatus"] == "ROLLBACK_COMPLETE"
    assert kit.reasons(emulator, stack)["A"] == (
        "Properties validation failed for resource A with message:\n"
        "[#: extraneous key [Name] is not permitted, "
        "#: extraneous key [Visibility] is not permitted]"
    )


@pytest.mark.cloud
@pytest.mark.parametrize(
    ("role", "wanted"),
    [
        (ROLE, "CAPABILITY_IAM"),
        (
            {**ROLE, "Properties": {**ROLE["Properties"], "RoleName": "r"}},  # type: ignore[dict-item]
            "CAPABILITY_NAMED_IAM",
        ),
    ],
    ids=["unnamed", "named"],
)
def test_roles_need_a_capability(emulator: Emulator, role: dict[str, Any], wanted: str) -> None:
    body = json.dumps({"Resources": {"Role": role}})
    with pytest.raises(ClientError) as caught:
        emulator.client("cloudformation").create_stack(StackName=kit.name(), TemplateBody=body)
    error = caught.value.response["Error"]
    assert error["Code"] == "InsufficientCapabilitiesException"
    assert error["Message"] == f"Requires capabilities : [{wanted}]"


@pytest.mark.cloud
def test_a_bucket_that_holds_objects_stays(emulator: Emulator) -> None:
    stack = kit.name()
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": stack}}
    kit.deploy(emulator, stack, {"Bucket": bucket})
    s3, cloudformation = emulator.client("s3"), emulator.client("cloudformation")
    s3.put_object(Bucket=stack, Key="code.zip", Body=b"x")
    cloudformation.delete_stack(StackName=stack)
    assert kit.settled(emulator, stack)["StackStatus"] == "DELETE_FAILED"
    assert kit.reasons(emulator, stack)["Bucket"] == (
        "The bucket you tried to delete is not empty (Service: S3, Status Code: 409)"
    )
    s3.delete_object(Bucket=stack, Key="code.zip")
    cloudformation.delete_stack(StackName=stack)
    with pytest.raises(ClientError, match="does not exist"):
        kit.until(lambda: kit.settled(emulator, stack)["StackStatus"] == "DELETE_COMPLETE")


@pytest.mark.cloud
def test_the_resources_we_deploy_are_as_the_template_says(emulator: Emulator) -> None:
    """What MiniStack reads of each type; a dropped property would show as a difference."""
    stack = kit.name("full")
    dead = queue(QueueName=f"{stack}-dead", MessageRetentionPeriod=1209600)
    redrive = {
        "deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]},
        "maxReceiveCount": 5,
    }
    resources: dict[str, Any] = {
        "Dead": dead,
        "Queue": queue(
            QueueName=stack,
            VisibilityTimeout=360,
            RedrivePolicy=redrive,
            SqsManagedSseEnabled=True,
            ReceiveMessageWaitTimeSeconds=20,
        ),
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": stack}},
        "Subscription": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {
                "TopicArn": {"Ref": "Topic"},
                "Protocol": "sqs",
                "Endpoint": {"Fn::GetAtt": ["Queue", "Arn"]},
                "RawMessageDelivery": False,
            },
        },
        "Fn": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": stack,
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Role": kit.ROLE,
                "Code": {"ZipFile": "def handler(event, context): return event\n"},
            },
        },
        "Source": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "FunctionName": {"Ref": "Fn"},
                "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                "BatchSize": 100,
                "MaximumBatchingWindowInSeconds": 1,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "ScalingConfig": {"MaximumConcurrency": 5},
            },
        },
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": stack,
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
                "DeletionProtectionEnabled": False,
            },
        },
        "Logs": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"LogGroupName": f"/aws/lambda/{stack}", "RetentionInDays": 30},
        },
        "Schedule": {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "Name": stack,
                "ScheduleExpression": "rate(1 minute)",
                "ScheduleExpressionTimezone": "Europe/Berlin",
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "EndDate": "2099-01-01T00:00:00Z",
                "Target": {
                    "Arn": {"Fn::GetAtt": ["Fn", "Arn"]},
                    "RoleArn": kit.ROLE,
                    "Input": '{"sweep": true}',
                    "RetryPolicy": {"MaximumRetryAttempts": 2},
                },
            },
        },
    }
    found = kit.deploy(emulator, stack, resources)
    assert found["StackStatus"] == "CREATE_COMPLETE", kit.reasons(emulator, stack)
    sqs, dynamodb = emulator.client("sqs"), emulator.client("dynamodb")
    url = sqs.get_queue_url(QueueName=stack)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    arn = f"arn:aws:sqs:eu-west-1:123456789012:{stack}"
    assert attributes["VisibilityTimeout"] == "360"
    assert attributes["ReceiveMessageWaitTimeSeconds"] == "20"
    assert attributes["SqsManagedSseEnabled"].lower() == "true"
    assert json.loads(attributes["RedrivePolicy"]) == {
        "deadLetterTargetArn": f"{arn}-dead",
        "maxReceiveCount": 5,
    }
    (mapping,) = emulator.client("lambda").list_event_source_mappings(FunctionName=stack)[
        "EventSourceMappings"
    ]
    assert mapping["BatchSize"] == 100
    assert mapping["MaximumBatchingWindowInSeconds"] == 1
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 5}
    ttl = dynamodb.describe_time_to_live(TableName=stack)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    backups = dynamodb.describe_continuous_backups(TableName=stack)
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    (group,) = emulator.client("logs").describe_log_groups(
        logGroupNamePrefix=f"/aws/lambda/{stack}"
    )["logGroups"]
    assert group["retentionInDays"] == 30
    schedule = emulator.client("scheduler").get_schedule(Name=stack)
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert schedule["EndDate"].isoformat()[:10] in {"2099-01-01", "2098-12-31"}
    assert schedule["Target"]["Input"] == '{"sweep": true}'
    assert schedule["Target"]["RetryPolicy"] == {"MaximumRetryAttempts": 2}


def test_the_known_properties_are_those_of_awss_schemas() -> None:
    """From cfn-lint, which ships AWS's resource schemas; regenerate the file when they grow."""
    path = Path(kit.LAUNCHER).with_name("properties.json")
    kept: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    found = {
        type_: sorted(
            PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", type_).schema["properties"]
        )
        for type_ in kept
    }
    assert kept == found


def test_the_folder_stands_alone() -> None:
    """The emulator's environment has no Triggerfish."""
    folder = Path(kit.LAUNCHER).parent
    importers = [
        path.name
        for path in folder.glob("*.py")
        if "import triggerfish" in path.read_text(encoding="utf-8")
        or "from triggerfish" in path.read_text(encoding="utf-8")
    ]
    assert importers == []
    assert importlib.util.find_spec("ministack") is None
