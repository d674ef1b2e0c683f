"""Single services: what was mended in them, and what a function relies on in them."""

from __future__ import annotations

import base64
import json
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.local.emulator import kit

if TYPE_CHECKING:
    from tests.local.emulator.kit import Emulator, Sandbox

pytestmark = pytest.mark.cloud


# --- SSM


def test_a_secure_string_is_shown_only_when_decrypted(emulator: Emulator) -> None:
    ssm = emulator.client("ssm")
    parameter = f"/{kit.name()}"
    ssm.put_parameter(Name=parameter, Value="hunter2", Type="SecureString")
    hidden = ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
    assert b"hunter2" not in base64.b64decode(hidden + "==", validate=False)
    assert "ENCRYPTED" not in hidden
    shown = ssm.get_parameter(Name=parameter, WithDecryption=True)["Parameter"]["Value"]
    assert shown == "hunter2"
    ssm.put_parameter(Name=parameter, Value="hunter3", Type="SecureString", Overwrite=True)
    history = ssm.get_parameter_history(Name=parameter)["Parameters"]
    assert len(history) == 2
    assert not any("ENCRYPTED" in entry["Value"] for entry in history)


def test_a_standard_parameter_has_4_kb_at_most(emulator: Emulator) -> None:
    ssm = emulator.client("ssm")
    with pytest.raises(ClientError) as caught:
        ssm.put_parameter(Name=f"/{kit.name()}", Value="x" * 4097, Type="String")
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith(
        "Standard tier parameters support a maximum parameter value of 4096 characters."
    )
    ssm.put_parameter(Name=f"/{kit.name()}", Value="x" * 4096, Type="String")


# --- Secrets Manager


def test_a_secret_is_read_back(emulator: Emulator) -> None:
    secrets = emulator.client("secretsmanager")
    called = kit.name()
    secrets.create_secret(Name=called, SecretString='{"token": "t"}')
    assert secrets.get_secret_value(SecretId=called)["SecretString"] == '{"token": "t"}'
    with pytest.raises(ClientError) as caught:
        secrets.get_secret_value(SecretId="absent")
    assert caught.value.response["Error"] == {
        "Code": "ResourceNotFoundException",
        "Message": "Secrets Manager can't find the specified secret.",
    }


# --- Scheduler


def schedule(expression: str, **changes: Any) -> dict[str, Any]:
    return {
        "Name": kit.name("at"),
        "ScheduleExpression": expression,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": f"arn:aws:lambda:eu-west-1:123456789012:function:{kit.name()}",
            "RoleArn": kit.ROLE,
        },
        **changes,
    }


@pytest.mark.parametrize("bad", ["cron(bad)", "rate(x minutes)", "at(yesterday)", "every minute"])
def test_an_expression_that_means_nothing_is_refused(emulator: Emulator, bad: str) -> None:
    with pytest.raises(ClientError) as caught:
        emulator.client("scheduler").create_schedule(**schedule(bad))
    assert caught.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": f"Invalid Schedule Expression {bad}.",
    }


def test_a_template_with_a_bad_expression_fails(emulator: Emulator) -> None:
    stack = kit.name()
    properties = schedule("cron(bad)", Name=stack)
    found = kit.deploy(
        emulator, stack, {"At": {"Type": "AWS::Scheduler::Schedule", "Properties": properties}}
    )
    assert found["StackStatus"] == "ROLLBACK_COMPLETE"
    assert kit.reasons(emulator, stack)["At"] == (
        "Invalid Schedule Expression cron(bad). (Service: Scheduler, Status Code: 400)"
    )


def test_the_context_of_a_schedule_is_filled_in(emulator: Emulator, sandbox: Sandbox) -> None:
    called = kit.name("fn")
    arn = kit.make_function(emulator, called)
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 1))
    told = {
        "arn": "<aws.scheduler.schedule-arn>",
        "at": "<aws.scheduler.scheduled-time>",
        "id": "<aws.scheduler.execution-id>",
        "attempt": "<aws.scheduler.attempt-number>",
    }
    emulator.client("scheduler").create_schedule(
        **schedule(
            f"at({at})",
            Name=called,
            Target={"Arn": arn, "RoleArn": kit.ROLE, "Input": json.dumps(told)},
        )
    )
    (seen,) = sandbox.wait(called, 1)
    assert seen.event["arn"].endswith(f":schedule/default/{called}")
    assert seen.event["at"].startswith(at[:10])
    assert len(seen.event["id"]) == 36
    assert seen.event["attempt"] == "1"


def test_a_schedule_fires_within_seconds_of_its_time(emulator: Emulator, sandbox: Sandbox) -> None:
    called = kit.name("fn")
    arn = kit.make_function(emulator, called)
    due = int(time.time()) + 2
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(due))
    target = {"Arn": arn, "RoleArn": kit.ROLE, "Input": "{}"}
    emulator.client("scheduler").create_schedule(**schedule(f"at({at})", Target=target))
    (seen,) = sandbox.wait(called, 1)
    assert 0 <= seen.at - due < 3


# --- SNS


def test_a_notification_has_the_shape_of_snss(emulator: Emulator) -> None:
    called = kit.name()
    url, arn = kit.make_queue(emulator, called)
    sns, sqs = emulator.client("sns"), emulator.client("sqs")
    topic = sns.create_topic(Name=called)["TopicArn"]
    allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sent = sns.publish(
        TopicArn=topic,
        Subject="Auto Scaling: launch",
        Message="{}",
        MessageAttributes={"k": {"DataType": "String", "StringValue": "v"}},
    )
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2)["Messages"]
    told = json.loads(message["Body"])
    assert list(told) == [
        "Type",
        "MessageId",
        "TopicArn",
        "Subject",
        "Message",
        "Timestamp",
        "SignatureVersion",
        "Signature",
        "SigningCertURL",
        "UnsubscribeURL",
        "MessageAttributes",
    ]
    assert told["MessageId"] == sent["MessageId"]
    assert told["TopicArn"] == topic
    assert told["MessageAttributes"] == {"k": {"Type": "String", "Value": "v"}}
    assert len(base64.b64decode(told["Signature"])) == 256
    assert told["SigningCertURL"].startswith("https://sns.eu-west-1.amazonaws.com/Simple")
    assert len(told["Timestamp"]) == len("2026-01-01T00:00:00.000Z")
    assert time.time() * 1000 - _milliseconds(told["Timestamp"]) < 5_000


def _milliseconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() * 1000


# --- DynamoDB


@pytest.fixture(scope="module")
def table(emulator: Emulator) -> str:
    called = kit.name("table")
    emulator.client("dynamodb").create_table(
        TableName=called,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    return called


def item(key: str, **more: dict[str, Any]) -> dict[str, Any]:
    return {"pk": {"S": key}, "sk": {"S": "s"}, **more}


NEW = "attribute_not_exists(pk)"


@pytest.mark.parametrize("call", ["put", "update", "delete"])
def test_a_failed_condition_gives_the_item_that_was_there(
    emulator: Emulator, table: str, call: str
) -> None:
    dynamodb = emulator.client("dynamodb")
    old = item(kit.name(), n={"N": "1"})
    dynamodb.put_item(TableName=table, Item=old)
    key = {"pk": old["pk"], "sk": old["sk"]}
    request: dict[str, Any] = {
        "TableName": table,
        "ConditionExpression": NEW,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    change = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "2"}}}
    more: Any = {"put": {"Item": old}, "delete": {"Key": key}, "update": {"Key": key, **change}}[
        call
    ]
    with pytest.raises(ClientError) as caught:
        getattr(dynamodb, f"{call}_item")(**request, **more)
    told: dict[str, Any] = caught.value.response  # type: ignore[assignment]
    assert told["Error"]["Code"] == "ConditionalCheckFailedException"
    assert told["Error"]["Message"] == "The conditional request failed"
    assert told["Item"] == old


def test_a_cancelled_transaction_says_why_for_each_action(emulator: Emulator, table: str) -> None:
    dynamodb = emulator.client("dynamodb")
    old = item(kit.name(), n={"N": "1"})
    dynamodb.put_item(TableName=table, Item=old)
    other = item(kit.name())
    with pytest.raises(ClientError) as caught:
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": table, "Item": other}},
                {
                    "Put": {
                        "TableName": table,
                        "Item": old,
                        "ConditionExpression": NEW,
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    }
                },
            ]
        )
    told: dict[str, Any] = caught.value.response  # type: ignore[assignment]
    assert told["Error"]["Code"] == "TransactionCanceledException"
    assert told["Error"]["Message"] == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[None, ConditionalCheckFailed]"
    )
    assert told["CancellationReasons"] == [
        {"Code": "None"},
        {
            "Code": "ConditionalCheckFailed",
            "Message": "The conditional request failed",
            "Item": old,
        },
    ]
    key = {"pk": other["pk"], "sk": other["sk"]}
    found = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)
    assert "Item" not in found


def test_a_transaction_has_100_actions_at_most(emulator: Emulator, table: str) -> None:
    dynamodb = emulator.client("dynamodb")
    actions = [{"Put": {"TableName": table, "Item": item(kit.name())}} for _ in range(101)]
    with pytest.raises(ClientError) as caught:
        dynamodb.transact_write_items(TransactItems=actions)
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert "Member must have length less than or equal to 100" in error["Message"]
    dynamodb.transact_write_items(TransactItems=actions[:100])


def test_an_item_has_400_kb_at_most(emulator: Emulator, table: str) -> None:
    with pytest.raises(ClientError) as caught:
        emulator.client("dynamodb").put_item(
            TableName=table, Item=item("big", text={"S": "x" * 400 * 1024})
        )
    assert caught.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "Item size has exceeded the maximum allowed size",
    }


# --- SQS and SNS sizes


def test_a_message_of_sqs_has_1_mib_at_most(emulator: Emulator) -> None:
    url, _ = kit.make_queue(emulator, kit.name())
    with pytest.raises(ClientError) as caught:
        emulator.client("sqs").send_message(QueueUrl=url, MessageBody="x" * (1024 * 1024 + 1))
    assert caught.value.response["Error"]["Message"] == (
        "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes."
    )
