from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.emulator import kit
from tests.local.emulator.kit import Answer, function_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.local.emulator.kit import Emulator, Sandbox

pytestmark = pytest.mark.cloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    name: str
    url: str
    arn: str
    dead_url: str


def wire(emulator: Emulator, *, visibility_s: int = 30, receives: int = 2, **mapping: Any) -> Wired:
    """A queue with a dead-letter queue, and a function that it invokes."""
    called = kit.name("src")
    dead_url, dead_arn = kit.make_queue(emulator, f"{called}-dead")
    redrive = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": str(receives)}
    url, arn = kit.make_queue(
        emulator,
        called,
        VisibilityTimeout=str(visibility_s),
        RedrivePolicy=json.dumps(redrive),
    )
    kit.make_function(emulator, called)
    settings = {
        "FunctionName": called,
        "EventSourceArn": arn,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        **mapping,
    }
    emulator.client("lambda").create_event_source_mapping(**settings)
    return Wired(name=called, url=url, arn=arn, dead_url=dead_url)


def failing(*bodies: str) -> Callable[[Any], Answer]:
    def answer(event: Any) -> Answer:
        failed = [
            {"itemIdentifier": record["messageId"]}
            for record in event["Records"]
            if record["body"] in bodies
        ]
        return Answer(body=json.dumps({"batchItemFailures": failed}).encode())

    return answer


def counts(emulator: Emulator, url: str) -> tuple[int, int, int]:
    """Visible, in flight, delayed."""
    found = emulator.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    attributes = found["Attributes"]
    return (
        int(attributes["ApproximateNumberOfMessages"]),
        int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        int(attributes["ApproximateNumberOfMessagesDelayed"]),
    )


def bodies(invocations: list[kit.Invocation]) -> list[str]:
    return [record["body"] for each in invocations for record in each.event["Records"]]


def test_a_record_is_as_lambda_hands_it_over(emulator: Emulator, sandbox: Sandbox) -> None:
    wired = wire(emulator)
    sent = emulator.client("sqs").send_message(
        QueueUrl=wired.url,
        MessageBody="hello",
        MessageAttributes={"n": {"DataType": "Number", "StringValue": "7"}},
    )
    (invocation,) = sandbox.wait(wired.name, 1)
    (record,) = invocation.event["Records"]
    assert sorted(record.pop("attributes")) == [
        "ApproximateFirstReceiveTimestamp",
        "ApproximateReceiveCount",
        "SenderId",
        "SentTimestamp",
    ]
    assert record.pop("receiptHandle")
    assert record == {
        "messageId": sent["MessageId"],
        "body": "hello",
        "messageAttributes": {
            "n": {
                "dataType": "Number",
                "stringValue": "7",
                "stringListValues": [],
                "binaryListValues": [],
            }
        },
        "md5OfBody": "5d41402abc4b2a76b9719d911017c592",
        "md5OfMessageAttributes": sent["MD5OfMessageAttributes"],
        "eventSource": "aws:sqs",
        "eventSourceARN": wired.arn,
        "awsRegion": "eu-west-1",
    }
    kit.until(lambda: counts(emulator, wired.url) == (0, 0, 0))


def test_every_published_message_reaches_the_function(emulator: Emulator, sandbox: Sandbox) -> None:
    """SNS to SQS to the function, 40 of them, one at a time."""
    wired = wire(emulator)
    sns = emulator.client("sns")
    topic = sns.create_topic(Name=wired.name)["TopicArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": wired.arn,
            }
        ],
    }
    emulator.client("sqs").set_queue_attributes(
        QueueUrl=wired.url, Attributes={"Policy": json.dumps(policy)}
    )
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=wired.arn)
    for number in range(1, 41):
        sns.publish(TopicArn=topic, Message=f"{number}")
        sandbox.wait(wired.name, number)


def test_a_delayed_message_comes_when_it_is_due(emulator: Emulator, sandbox: Sandbox) -> None:
    wired = wire(emulator)
    sent = time.time()
    emulator.client("sqs").send_message(QueueUrl=wired.url, MessageBody="later", DelaySeconds=1)
    assert counts(emulator, wired.url) == (0, 0, 1)
    (invocation,) = sandbox.wait(wired.name, 1)
    assert 0.95 < invocation.at - sent < 2


def test_only_failed_messages_come_back_and_then_go_to_the_dead_letters(
    emulator: Emulator, sandbox: Sandbox
) -> None:
    wired = wire(emulator, visibility_s=1)
    sandbox.answer(wired.name, failing("bad"))
    sqs = emulator.client("sqs")
    entries = [{"Id": text, "MessageBody": text} for text in ("good", "bad", "fine")]
    sqs.send_message_batch(QueueUrl=wired.url, Entries=entries)

    def dead() -> Any:
        return sqs.receive_message(
            QueueUrl=wired.dead_url, MessageSystemAttributeNames=["All"]
        ).get("Messages")

    (message,) = kit.until(dead)
    assert message["Body"] == "bad"
    assert message["Attributes"]["DeadLetterQueueSourceArn"] == wired.arn
    assert sorted(bodies(sandbox.of(wired.name))) == ["bad", "bad", "fine", "good"]
    assert counts(emulator, wired.url) == (0, 0, 0)


@pytest.mark.parametrize(
    "answer",
    [
        function_error("ValueError", "boom"),
        Answer(body=b"not json"),
        Answer(body=b'{"batchItemFailures": [{"itemIdentifier": ""}]}'),
        Answer(body=b'{"batchItemFailures": [{"itemIdentifier": null}]}'),
        Answer(body=b'{"batchItemFailures": [{"id": "x"}]}'),
        Answer(body=b'{"batchItemFailures": [{"itemIdentifier": "of no message"}]}'),
        Answer(body=b'"a string"'),
    ],
    ids=["error", "no JSON", "empty id", "null id", "bad key", "unknown id", "no object"],
)
def test_the_whole_batch_fails_with_a_bad_answer(
    emulator: Emulator, sandbox: Sandbox, answer: Answer
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html"""
    wired = wire(emulator, visibility_s=1, receives=9)
    sandbox.answer(wired.name, answer, Answer())
    emulator.client("sqs").send_message(QueueUrl=wired.url, MessageBody="again")
    assert bodies(sandbox.wait(wired.name, 2)) == ["again", "again"]
    kit.until(lambda: counts(emulator, wired.url) == (0, 0, 0))


@pytest.mark.parametrize(
    "body",
    [b"null", b"", b"{}", b'{"batchItemFailures": []}', b'{"batchItemFailures": null}'],
    ids=["null", "nothing", "empty", "no failures", "null failures"],
)
def test_the_whole_batch_succeeds_with_an_empty_answer(
    emulator: Emulator, sandbox: Sandbox, body: bytes
) -> None:
    wired = wire(emulator)
    sandbox.answer(wired.name, Answer(body=body))
    emulator.client("sqs").send_message(QueueUrl=wired.url, MessageBody="once")
    sandbox.wait(wired.name, 1)
    kit.until(lambda: counts(emulator, wired.url) == (0, 0, 0))


def test_one_failing_batch_does_not_hold_up_the_next(emulator: Emulator, sandbox: Sandbox) -> None:
    wired = wire(emulator, BatchSize=1)
    sandbox.answer(wired.name, function_error("ValueError", "boom"), Answer())
    sqs = emulator.client("sqs")
    sqs.send_message(QueueUrl=wired.url, MessageBody="bad")
    sandbox.wait(wired.name, 1)
    started = time.time()
    sqs.send_message(QueueUrl=wired.url, MessageBody="good")
    assert sandbox.wait(wired.name, 2)[1].at - started < 5


def test_a_busy_sandbox_is_asked_again_with_the_same_messages(
    emulator: Emulator, sandbox: Sandbox
) -> None:
    """A throttle costs no receive of the message, so it brings it no nearer to the dead letters."""
    wired = wire(emulator, receives=1)
    sandbox.answer(wired.name, Answer(status=429), Answer(status=503), Answer())
    emulator.client("sqs").send_message(QueueUrl=wired.url, MessageBody="patient")
    seen = sandbox.wait(wired.name, 3)
    received = [each.event["Records"][0]["attributes"]["ApproximateReceiveCount"] for each in seen]
    assert received == ["1", "1", "1"]
    kit.until(lambda: counts(emulator, wired.url) == (0, 0, 0))
    assert counts(emulator, wired.dead_url) == (0, 0, 0)


def test_maximum_concurrency_is_kept(emulator: Emulator, sandbox: Sandbox) -> None:
    wired = wire(emulator, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    lock, running, most = threading.Lock(), [0], [0]

    def slowly(_event: Any) -> Answer:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.05)
        with lock:
            running[0] -= 1
        return Answer()

    sandbox.answer(wired.name, slowly)
    entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(10)]
    emulator.client("sqs").send_message_batch(QueueUrl=wired.url, Entries=entries)
    seen = sandbox.wait(wired.name, 10)
    assert sorted(bodies(seen), key=int) == [str(n) for n in range(10)]
    assert most == [2]


def test_a_window_gathers_a_batch_of_more_than_ten(emulator: Emulator, sandbox: Sandbox) -> None:
    wired = wire(emulator, BatchSize=100, MaximumBatchingWindowInSeconds=1)
    sqs = emulator.client("sqs")
    started = time.time()
    for first in range(0, 30, 10):
        entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(first, first + 10)]
        sqs.send_message_batch(QueueUrl=wired.url, Entries=entries)
    (invocation,) = sandbox.wait(wired.name, 1)
    assert len(invocation.event["Records"]) == 30
    assert 1 <= invocation.at - started < 3


def test_a_full_batch_does_not_wait_for_its_window(emulator: Emulator, sandbox: Sandbox) -> None:
    wired = wire(emulator, BatchSize=10, MaximumBatchingWindowInSeconds=20)
    started = time.time()
    entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(10)]
    emulator.client("sqs").send_message_batch(QueueUrl=wired.url, Entries=entries)
    (invocation,) = sandbox.wait(wired.name, 1)
    assert invocation.at - started < 10
    assert len(invocation.event["Records"]) == 10


def test_a_batch_over_six_megabytes_is_two_invocations(
    emulator: Emulator, sandbox: Sandbox
) -> None:
    wired = wire(emulator, BatchSize=100, MaximumBatchingWindowInSeconds=1)
    sqs = emulator.client("sqs")
    for _ in range(9):
        sqs.send_message(QueueUrl=wired.url, MessageBody="x" * 900_000)
    kit.until(lambda: len(bodies(sandbox.of(wired.name))) == 9)
    sizes = [len(each.event["Records"]) for each in sandbox.of(wired.name)]
    assert len(sizes) >= 2
    assert max(sizes) <= 6


def test_a_filtered_message_is_deleted_unseen(emulator: Emulator, sandbox: Sandbox) -> None:
    pattern = json.dumps({"body": {"kind": ["wanted"]}})
    wired = wire(emulator, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    sqs = emulator.client("sqs")
    for kind in ("other", "wanted"):
        sqs.send_message(QueueUrl=wired.url, MessageBody=json.dumps({"kind": kind}))
    kit.until(lambda: counts(emulator, wired.url) == (0, 0, 0))
    assert bodies(sandbox.wait(wired.name, 1)) == ['{"kind": "wanted"}']


def test_a_disabled_mapping_leaves_the_messages(emulator: Emulator, sandbox: Sandbox) -> None:
    wired = wire(emulator, Enabled=False)
    emulator.client("sqs").send_message(QueueUrl=wired.url, MessageBody="wait")
    other = wire(emulator)
    emulator.client("sqs").send_message(QueueUrl=other.url, MessageBody="go")
    sandbox.wait(other.name, 1)
    assert sandbox.of(wired.name) == []
    assert counts(emulator, wired.url) == (1, 0, 0)


def test_no_message_is_lost_while_others_are_deleted(emulator: Emulator, sandbox: Sandbox) -> None:
    """Workers of MiniStack write back lists that the server was adding to."""
    wired = wire(emulator)
    sandbox.answer(wired.name, failing())
    sqs = emulator.client("sqs")

    def send(first: int) -> None:
        for number in range(first, first + 100):
            sqs.send_message(QueueUrl=wired.url, MessageBody=str(number))

    threads = [threading.Thread(target=send, args=(first,)) for first in range(0, 500, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kit.until(lambda: counts(emulator, wired.url) == (0, 0, 0))
    assert sorted(map(int, bodies(sandbox.of(wired.name)))) == list(range(500))
