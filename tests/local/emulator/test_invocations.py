from __future__ import annotations

import base64
import json
import socket
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.emulator import kit
from tests.local.emulator.kit import Answer, function_error

if TYPE_CHECKING:
    from tests.local.emulator.kit import Emulator, Sandbox

pytestmark = pytest.mark.cloud

BOOM = function_error("ValueError", "boom")


@pytest.fixture
def function(emulator: Emulator) -> str:
    called = kit.name("fn")
    kit.make_function(emulator, called)
    return called


def invoke(emulator: Emulator, function: str, payload: bytes = b"{}", **changes: Any) -> Any:
    settings = {"FunctionName": function, "Payload": payload, **changes}
    return emulator.client("lambda").invoke(**settings)


def test_the_answer_passes_byte_for_byte(
    emulator: Emulator, sandbox: Sandbox, function: str
) -> None:
    sandbox.answer(function, Answer(body=b'{"a":  1.0, "b": "\xc3\xa9"}'))
    answer = invoke(emulator, function, b'{"x": "\xc3\xa9"}')
    assert answer["StatusCode"] == 200
    assert "FunctionError" not in answer
    assert answer["Payload"].read() == b'{"a":  1.0, "b": "\xc3\xa9"}'
    (seen,) = sandbox.of(function)
    assert seen.event == {"x": "é"}
    assert seen.kind == "RequestResponse"


def test_the_sandbox_is_told_what_it_needs(
    emulator: Emulator, sandbox: Sandbox, function: str
) -> None:
    invoke(emulator, function)
    (seen,) = sandbox.of(function)
    told = {key: value for key, value in seen.headers.items() if key.startswith("X-Am")}
    assert set(told) == {
        "X-Amz-Invocation-Type",
        "X-Amzn-Lambda-Deadline-Ms",
        "X-Amzn-Lambda-Function-Arn",
        "X-Amzn-Lambda-Function-Name",
        "X-Amzn-Lambda-Function-Version",
        "X-Amzn-Lambda-Request-Id",
    }
    assert told["X-Amz-Invocation-Type"] == "RequestResponse"
    arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{function}"
    assert told["X-Amzn-Lambda-Function-Arn"] == arn
    assert told["X-Amzn-Lambda-Function-Version"] == "$LATEST"
    deadline_s = int(told["X-Amzn-Lambda-Deadline-Ms"]) / 1000
    assert deadline_s == pytest.approx(seen.at + 5, abs=1)


def test_the_end_of_the_log_and_the_clients_context_pass(
    emulator: Emulator, sandbox: Sandbox, function: str
) -> None:
    tail = base64.b64encode(b"START\nhello\n").decode()
    sandbox.answer(function, Answer(headers=(("X-Amz-Log-Result", tail),)))
    context = base64.b64encode(b'{"custom": {}}').decode()
    answer = invoke(emulator, function, LogType="Tail", ClientContext=context)
    assert answer["LogResult"] == tail
    (seen,) = sandbox.of(function)
    assert seen.headers["X-Amz-Log-Type"] == "Tail"
    assert seen.headers["X-Amz-Client-Context"] == context


def test_what_the_sandbox_refuses_is_lambdas_answer(
    emulator: Emulator, sandbox: Sandbox, function: str
) -> None:
    refused = Answer(
        status=400,
        body=b'{"Type": "User", "message": "the environment is too large"}',
        headers=(("X-Amzn-ErrorType", "InvalidParameterValueException"),),
    )
    sandbox.answer(function, refused)
    client = emulator.client("lambda")
    with pytest.raises(client.exceptions.InvalidParameterValueException) as caught:
        client.invoke(FunctionName=function, Payload=b"{}")
    assert caught.value.response["Error"]["Message"] == "the environment is too large"


def test_a_functions_error_passes_unwrapped(
    emulator: Emulator, sandbox: Sandbox, function: str
) -> None:
    sandbox.answer(function, BOOM)
    answer = invoke(emulator, function)
    assert answer["StatusCode"] == 200
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"].read() == b'{"errorMessage": "boom", "errorType": "ValueError"}'


def test_a_busy_sandbox_is_a_throttle(emulator: Emulator, sandbox: Sandbox, function: str) -> None:
    body = json.dumps({"message": "Rate Exceeded.", "Reason": "ConcurrentInvocationLimitExceeded"})
    sandbox.answer(function, Answer(status=429, body=body.encode()))
    client = emulator.client("lambda")
    with pytest.raises(client.exceptions.TooManyRequestsException) as caught:
        client.invoke(FunctionName=function, Payload=b"{}")
    assert caught.value.response["Reason"] == "ConcurrentInvocationLimitExceeded"


def test_an_absent_sandbox_is_lambdas_fault(tmp_path: Any) -> None:
    """A 500 that every SDK retries, never an error of the function."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    emulator = kit.Emulator(tmp_path / "state", f"http://127.0.0.1:{nobody}/").start()
    try:
        called = kit.name()
        kit.make_function(emulator, called)
        client = emulator.client("lambda")
        with pytest.raises(client.exceptions.ServiceException) as caught:
            client.invoke(FunctionName=called, Payload=b"{}")
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    finally:
        emulator.kill()


@pytest.mark.parametrize(
    ("payload", "kind", "error"),
    [
        (
            b'"' + b"x" * (6 * 1024 * 1024) + b'"',
            "RequestResponse",
            (
                413,
                "RequestEntityTooLargeException",
                "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
            ),
        ),
        (
            b'"' + b"x" * (1024 * 1024) + b'"',
            "Event",
            (
                413,
                "RequestEntityTooLargeException",
                (
                    "1048578 byte payload is too large for the Event invocation type "
                    "(limit 1048576 bytes)"
                ),
            ),
        ),
        (
            b"hello",
            "RequestResponse",
            (
                400,
                "InvalidRequestContentException",
                (
                    "Could not parse request body into json: Could not parse payload into json: "
                    "Expecting value: line 1 column 1 (char 0)"
                ),
            ),
        ),
    ],
    ids=["sync", "async", "no JSON"],
)
def test_payloads_over_the_limits_are_refused(
    emulator: Emulator, function: str, payload: bytes, kind: str, error: tuple[int, str, str]
) -> None:
    client = emulator.client("lambda")
    with pytest.raises(client.exceptions.ClientError) as caught:
        client.invoke(FunctionName=function, InvocationType=kind, Payload=payload)
    told = caught.value.response
    found = (
        told["ResponseMetadata"]["HTTPStatusCode"],
        told["Error"]["Code"],
        told["Error"]["Message"],
    )
    assert found == error


def test_an_asynchronous_failure_is_tried_three_times_then_sent_on(
    emulator: Emulator, sandbox: Sandbox, function: str
) -> None:
    """On AWS the pauses are one and two minutes; here one and two seconds."""
    _, target = kit.make_queue(emulator, f"{function}-failed")
    emulator.client("lambda").put_function_event_invoke_config(
        FunctionName=function, DestinationConfig={"OnFailure": {"Destination": target}}
    )
    sandbox.answer(function, BOOM)
    invoke(emulator, function, b'{"n": 1}', InvocationType="Event")
    seen = sandbox.wait(function, 3)
    assert [each.kind for each in seen] == ["Event", "Event", "Event"]
    first, second = (b.at - a.at for a, b in pairwise(seen))
    assert 0.9 < first < 1.9 < second < 10
    (message,) = receive(emulator, f"{function}-failed")
    told = json.loads(message["Body"])
    assert told["requestPayload"] == {"n": 1}
    assert told["responsePayload"] == {"errorMessage": "boom", "errorType": "ValueError"}
    assert told["requestContext"]["condition"] == "RetriesExhausted"


def receive(emulator: Emulator, queue: str) -> list[dict[str, Any]]:
    sqs = emulator.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found: list[dict[str, Any]] = kit.until(
        lambda: sqs.receive_message(
            QueueUrl=url,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
            WaitTimeSeconds=1,
        ).get("Messages")
    )
    return found


def test_a_dead_letter_of_a_function_is_the_event_itself(
    emulator: Emulator, sandbox: Sandbox
) -> None:
    called = kit.name("fn")
    _, target = kit.make_queue(emulator, f"{called}-dead")
    kit.make_function(emulator, called, DeadLetterConfig={"TargetArn": target})
    emulator.client("lambda").put_function_event_invoke_config(
        FunctionName=called, MaximumRetryAttempts=0
    )
    sandbox.answer(called, BOOM)
    invoke(emulator, called, b'{"n": 1}', InvocationType="Event")
    (message,) = receive(emulator, f"{called}-dead")
    assert json.loads(message["Body"]) == {"n": 1}
    assert message["MessageAttributes"]["ErrorCode"]["StringValue"] == "200"
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "boom"


def test_a_function_failing_on_sns_is_tried_again(
    emulator: Emulator, sandbox: Sandbox, function: str
) -> None:
    sns = emulator.client("sns")
    topic = sns.create_topic(Name=function)["TopicArn"]
    arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{function}"
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    sandbox.answer(function, BOOM, Answer())
    sns.publish(TopicArn=topic, Message="hello", Subject="s")
    first, second = sandbox.wait(function, 2)
    assert first.kind == "Event"
    assert first.event == second.event
    (record,) = first.event["Records"]
    assert record["EventSource"] == "aws:sns"
    assert record["Sns"]["Message"] == "hello"


def test_a_function_failing_on_a_schedule_is_tried_again(
    emulator: Emulator, sandbox: Sandbox, function: str
) -> None:
    arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{function}"
    sandbox.answer(function, BOOM, Answer())
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 1))
    emulator.client("scheduler").create_schedule(
        Name=function,
        ScheduleExpression=f"at({at})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": kit.ROLE, "Input": '{"sweep": true}'},
        ActionAfterCompletion="DELETE",
    )
    first, second = sandbox.wait(function, 2)
    assert first.event == second.event == {"sweep": True}
    assert first.kind == "Event"


def test_the_emulator_writes_no_log_of_its_own(
    emulator: Emulator, sandbox: Sandbox, function: str
) -> None:
    invoke(emulator, function)
    sandbox.wait(function, 1)
    logs = emulator.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{function}")["logGroups"]
    assert groups == []


def test_every_invocation_is_counted(emulator: Emulator, sandbox: Sandbox, function: str) -> None:
    emulator.client("lambda").put_function_event_invoke_config(
        FunctionName=function, MaximumRetryAttempts=0
    )
    sandbox.answer(function, Answer(), BOOM)
    invoke(emulator, function)
    invoke(emulator, function, InvocationType="Event")
    sandbox.wait(function, 2)
    cloudwatch = emulator.client("cloudwatch")
    now = time.time()

    def total(metric: str) -> float:
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=metric,
            Dimensions=[{"Name": "FunctionName", "Value": function}],
            StartTime=now - 300,
            EndTime=now + 300,
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    kit.until(lambda: total("Invocations") == 2)
    assert total("Errors") == 1


def test_connections_to_the_sandbox_stay_open(
    emulator: Emulator, sandbox: Sandbox, function: str
) -> None:
    """A connection an invocation costs a millisecond and a port for minutes."""
    invoke(emulator, function)
    before = sandbox.connections
    client = emulator.client("lambda")
    for _ in range(50):
        client.invoke(FunctionName=function, Payload=b"{}")["Payload"].read()
    assert sandbox.connections - before <= 2
