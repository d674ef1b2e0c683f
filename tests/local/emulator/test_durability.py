from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.local.emulator import kit
from tests.local.emulator.kit import Answer
from triggerfish.local.mailbox import Mailbox

if TYPE_CHECKING:
    from tests.local.emulator.kit import Emulator, Sandbox

pytestmark = pytest.mark.cloud

LOST_AT_MOST_S = 0.5


def resources(name: str) -> dict[str, Any]:
    arn = {"Fn::GetAtt": ["Queue", "Arn"]}
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    return {
        "Topic": {
            "Type": "AWS::SNS::Topic",
            "Properties": {
                "TopicName": name,
                "Subscription": [{"Protocol": "sqs", "Endpoint": arn}],
            },
        },
        "Queue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {"QueueName": name, "VisibilityTimeout": 300},
        },
        "Policy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Queue"}],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [allow]},
            },
        },
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            },
        },
        "Fn": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": name,
                "Runtime": "python3.13",
                "Handler": "app.handler",
                "Role": kit.ROLE,
                "Code": {"S3Bucket": name, "S3Key": "code.zip"},
            },
        },
        "Source": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "FunctionName": {"Ref": "Fn"},
                "EventSourceArn": arn,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
            },
        },
        "Every": {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "Name": name,
                "ScheduleExpression": "rate(1 hour)",
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {"Arn": {"Fn::GetAtt": ["Fn", "Arn"]}, "RoleArn": kit.ROLE},
            },
        },
    }


def deploy(emulator: Emulator, name: str) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=name, Key="code.zip", Body=kit.code())
    found = kit.deploy(emulator, name, resources(name))
    assert found["StackStatus"] == "CREATE_COMPLETE", kit.reasons(emulator, name)


class Writer:
    """Writes item n, then sends message n, then stores object n, and knows when each was taken."""

    def __init__(self, emulator: Emulator, name: str, queue: str, prefix: str) -> None:
        self.taken: list[tuple[str, float]] = []
        self._clients = [emulator.client(each) for each in ("dynamodb", "sqs", "s3")]
        self._name, self._queue, self._prefix = name, queue, prefix
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        dynamodb, sqs, s3 = self._clients
        number = 0
        try:
            while True:
                key = f"{self._prefix}-{number}"
                dynamodb.put_item(TableName=self._name, Item={"pk": {"S": key}})
                sqs.send_message(QueueUrl=self._queue, MessageBody=key)
                if number % 10 == 0:
                    s3.put_object(Bucket=self._name, Key=key, Body=key.encode())
                self.taken.append((key, time.time()))
                number += 1
        except (BotoCoreError, ClientError):
            return


def keys_of(emulator: Emulator, name: str) -> set[str]:
    pages = (
        emulator.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=name, ConsistentRead=True)
    )
    return {item["pk"]["S"] for page in pages for item in page["Items"]}


def bodies_of(emulator: Emulator, url: str) -> set[str]:
    sqs = emulator.client("sqs")
    found: set[str] = set()
    while True:
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        if not got:
            return found
        found |= {message["Body"] for message in got}


def test_a_kill_in_the_middle_of_writes_loses_half_a_second_at_most(alone: Emulator) -> None:
    name = kit.name("kill")
    deploy(alone, name)
    queue, _ = kit.make_queue(alone, f"{name}-plain", VisibilityTimeout="0")
    writers = [Writer(alone, name, queue, f"w{n}") for n in range(4)]
    time.sleep(2)
    killed = time.time()
    alone.kill()
    for writer in writers:
        writer.thread.join()
    alone.start()
    due = {k for w in writers for k, at in w.taken if at < killed - LOST_AT_MOST_S}
    assert len(due) > 20
    kept = keys_of(alone, name)
    assert due <= kept
    sent = bodies_all(alone, queue)
    assert due <= sent
    # One instant for all services: no message whose item, written before it, is missing.
    assert sent <= kept
    stored = alone.client("s3").list_objects_v2(Bucket=name)["Contents"]
    objects = {each["Key"] for each in stored}
    assert {k for k in due if int(k.rpartition("-")[2]) % 10 == 0} <= objects


def bodies_all(emulator: Emulator, url: str) -> set[str]:
    """Every message, with a visibility timeout that keeps what was received from coming again."""
    emulator.client("sqs").set_queue_attributes(
        QueueUrl=url, Attributes={"VisibilityTimeout": "600"}
    )
    return bodies_of(emulator, url)


def test_it_starts_after_kill_upon_kill(alone: Emulator) -> None:
    name = kit.name("kill")
    deploy(alone, name)
    queue, _ = kit.make_queue(alone, f"{name}-plain")
    due: set[str] = set()
    for turn in range(3):
        writer = Writer(alone, name, queue, f"turn{turn}")
        time.sleep(0.7 + turn * 0.037)
        killed = time.time()
        alone.kill()
        writer.thread.join()
        due |= {k for k, at in writer.taken if at < killed - LOST_AT_MOST_S}
        alone.start()
        assert due <= keys_of(alone, name)


def test_a_deployed_stack_works_after_a_kill(alone: Emulator, sandbox: Sandbox) -> None:
    """The sandbox's address is a new one: it isn't part of the state."""
    name = kit.name("stack")
    deploy(alone, name)
    time.sleep(LOST_AT_MOST_S)
    alone.kill()
    other = kit.Sandbox()
    try:
        alone.sandbox_url = other.url
        alone.start()
        topic = f"arn:aws:sns:eu-west-1:123456789012:{name}"
        alone.client("sns").publish(TopicArn=topic, Message="hello")
        (seen,) = other.wait(name, 1)
        assert json.loads(seen.event["Records"][0]["body"])["Message"] == "hello"
        assert sandbox.of(name) == []
        function = alone.client("lambda").get_function(FunctionName=name)
        assert function["Configuration"]["CodeSize"] == len(kit.code())
        assert kit.settled(alone, name)["StackStatus"] == "CREATE_COMPLETE"
        assert alone.client("scheduler").get_schedule(Name=name)["State"] == "ENABLED"
        alone.client("s3").delete_object(Bucket=name, Key="code.zip")
        alone.client("cloudformation").delete_stack(StackName=name)
        kit.until(lambda: name not in alone.client("dynamodb").list_tables()["TableNames"])
    finally:
        other.close()


def test_a_message_in_hand_at_the_kill_comes_again_at_once(
    alone: Emulator, sandbox: Sandbox
) -> None:
    """Its visibility timeout is five minutes, but no function runs any more."""
    name = kit.name("hand")
    deploy(alone, name)
    held = threading.Event()

    def hold(_event: Any) -> Answer:
        held.wait(10)
        return Answer()

    sandbox.answer(name, hold, Answer())
    url = alone.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    alone.client("sqs").send_message(QueueUrl=url, MessageBody="in hand")
    sandbox.wait(name, 1)
    time.sleep(LOST_AT_MOST_S)
    alone.kill()
    held.set()
    alone.start()
    seen = sandbox.wait(name, 2)
    assert [each.event["Records"][0]["body"] for each in seen] == ["in hand", "in hand"]


def test_small_services_survive_too(alone: Emulator) -> None:
    name = kit.name("small")
    alone.client("ssm").put_parameter(Name=f"/{name}", Value="p", Type="SecureString")
    alone.client("secretsmanager").create_secret(Name=name, SecretString="s")
    zone = alone.client("route53").create_hosted_zone(Name="example.com", CallerReference=name)
    ses = alone.client("ses")
    ses.verify_email_identity(EmailAddress="ops@example.com")
    ses.send_email(
        Source="ops@example.com",
        Destination={"ToAddresses": ["ops@example.com"]},
        Message={"Subject": {"Data": name}, "Body": {"Text": {"Data": "t"}}},
    )
    logs = alone.client("logs")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    logs.put_log_events(
        logGroupName=name,
        logStreamName="s",
        logEvents=[{"timestamp": int(time.time() * 1000), "message": "line"}],
    )
    time.sleep(LOST_AT_MOST_S)
    alone.kill()
    alone.start()
    found = alone.client("ssm").get_parameter(Name=f"/{name}", WithDecryption=True)
    assert found["Parameter"]["Value"] == "p"
    secret = alone.client("secretsmanager").get_secret_value(SecretId=name)
    assert secret["SecretString"] == "s"
    assert alone.client("route53").get_hosted_zone(Id=zone["HostedZone"]["Id"])
    events = alone.client("logs").get_log_events(logGroupName=name, logStreamName="s")["events"]
    assert [event["message"] for event in events] == ["line"]
    assert [mail.subject for mail in Mailbox(alone.url).read()] == [name]


def test_a_state_of_another_release_is_refused_with_a_way_out(alone: Emulator) -> None:
    alone.stop()
    path = alone.state / "checkpoint" / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**manifest, "ministack": "1.4.0"}), encoding="utf-8")
    with pytest.raises(
        AssertionError, match=r"was written by ministack 1\.4\.0 in format 1, wanted"
    ):
        alone.start()
    alone.process.wait(5)
