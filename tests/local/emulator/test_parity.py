"""Each line of docs/reference/local-parity.md is held by a test, here or where `ELSEWHERE` says."""

from __future__ import annotations

import importlib
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.local.emulator import kit
from tests.local.emulator.kit import Answer, function_error
from triggerfish.local.environments import emulator_python

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.local.emulator.kit import Emulator, Sandbox

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "local-parity.md"

HERE: dict[str, Callable[..., None]] = {}

ELSEWHERE = {
    "async-pauses": (
        "test_invocations",
        "test_an_asynchronous_failure_is_tried_three_times_then_sent_on",
    ),
    "browser-refused": ("test_process", "test_web_pages_are_refused"),
    "checkpoint-lag": (
        "test_durability",
        "test_a_kill_in_the_middle_of_writes_loses_half_a_second_at_most",
    ),
    "dns-none": ("test_process", "test_nothing_listens_but_one_loopback_port"),
    "filesystem-none": ("test_functions", "test_nothing_of_a_templates_function_is_dropped"),
    "fleet-elsewhere": ("test_process", "test_services_of_the_fleet_are_refused_by_name"),
    "in-hand-returned": (
        "test_durability",
        "test_a_message_in_hand_at_the_kill_comes_again_at_once",
    ),
    "notification-unsigned": ("test_services", "test_a_notification_has_the_shape_of_snss"),
    "one-change-sync": ("test_zones", "test_a_change_is_pending_and_then_in_sync"),
    "permission-open": ("test_invocations", "test_a_function_failing_on_sns_is_tried_again"),
    "unknown-property-late": ("test_stacks", "test_an_unknown_property_fails_the_stack"),
    "vpc-none": ("test_functions", "test_nothing_of_a_templates_function_is_dropped"),
}


def holds(line: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def register(test: Callable[..., None]) -> Callable[..., None]:
        HERE[line] = test
        cloud: Callable[..., None] = pytest.mark.cloud(test)
        return cloud

    return register


def test_every_line_is_held_and_every_test_has_its_line() -> None:
    lines = re.findall(r"^\| ([a-z0-9-]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    listed = [line for line in lines if line not in {"id", "---"}]
    assert listed == sorted(listed)
    assert set(listed) == HERE.keys() | ELSEWHERE.keys()
    assert not HERE.keys() & ELSEWHERE.keys()
    for module, test in ELSEWHERE.values():
        assert callable(getattr(importlib.import_module(f"tests.local.emulator.{module}"), test))


def sent_to(emulator: Emulator, function: str, **mapping: Any) -> str:
    """The URL of a queue that invokes `function`."""
    url, arn = kit.make_queue(emulator, function)
    emulator.client("lambda").create_event_source_mapping(
        FunctionName=function, EventSourceArn=arn, **mapping
    )
    return url


@holds("async-memory")
def test_waiting_asynchronous_invocations_end_with_the_process(
    alone: Emulator, sandbox: Sandbox
) -> None:
    called = kit.name("fn")
    kit.make_function(alone, called)
    sandbox.answer(called, function_error("ValueError", "boom"))
    alone.client("lambda").invoke(FunctionName=called, InvocationType="Event", Payload=b"{}")
    sandbox.wait(called, 1)
    time.sleep(0.5)
    alone.kill()
    alone.start()
    time.sleep(2)
    assert len(sandbox.of(called)) == 1


@holds("cron-utc")
def test_cron_in_a_time_zone_is_refused(emulator: Emulator) -> None:
    settings = {
        "Name": kit.name("at"),
        "ScheduleExpression": "cron(0 6 * * ? *)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": kit.ROLE, "RoleArn": kit.ROLE},
    }
    scheduler = emulator.client("scheduler")
    with pytest.raises(ClientError) as caught:
        scheduler.create_schedule(**settings, ScheduleExpressionTimezone="Europe/Berlin")
    assert caught.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "the local cloud runs cron in UTC only, found Europe/Berlin",
    }
    scheduler.create_schedule(**settings, ScheduleExpressionTimezone="UTC")


@holds("encryption-none")
def test_state_files_hold_clear_text(emulator: Emulator) -> None:
    secret = kit.name("clear")
    emulator.client("ssm").put_parameter(Name=f"/{secret}", Value=secret, Type="SecureString")
    folder = emulator.state / "checkpoint"

    def found() -> bool:
        try:
            return any(secret.encode() in path.read_bytes() for path in folder.glob("ssm-*"))
        except FileNotFoundError:
            return False

    kit.until(found)


@holds("event-order")
def test_a_standard_queue_keeps_the_order(emulator: Emulator) -> None:
    url, _ = kit.make_queue(emulator, kit.name())
    sqs = emulator.client("sqs")
    for number in range(50):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    came: list[int] = []
    while len(came) < 50:
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        came += [int(message["Body"]) for message in got]
    assert came == list(range(50))


@holds("expiry-minute")
def test_expired_items_are_looked_for_every_minute() -> None:
    """Read in the emulator's source: waiting for it would take the minute."""
    script = (
        "import inspect, ministack.services.dynamodb as d; print(inspect.getsource(d._ttl_reaper))"
    )
    words = [str(emulator_python()), "-c", script]
    source = subprocess.run(words, capture_output=True, check=True, timeout=30).stdout.decode()
    assert "time.sleep(60)" in source
    assert "_remove_item(table, pk_val, sk_val)" in source


@holds("flexible-window")
def test_a_flexible_window_is_ignored(emulator: Emulator, sandbox: Sandbox) -> None:
    called = kit.name("fn")
    arn = kit.make_function(emulator, called)
    due = int(time.time()) + 1
    emulator.client("scheduler").create_schedule(
        Name=called,
        ScheduleExpression=time.strftime("at(%Y-%m-%dT%H:%M:%S)", time.gmtime(due)),
        FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 60},
        Target={"Arn": arn, "RoleArn": kit.ROLE},
    )
    (seen,) = sandbox.wait(called, 1)
    assert seen.at - due < 3


@holds("http-api-errors")
def test_an_http_api_leaks_the_error(emulator: Emulator, sandbox: Sandbox) -> None:
    called = kit.name("fn")
    arn = kit.make_function(emulator, called)
    sandbox.answer(called, function_error("ValueError", "boom"))
    gateway = emulator.client("apigatewayv2")
    api = gateway.create_api(Name=called, ProtocolType="HTTP")["ApiId"]
    integration = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    gateway.create_route(ApiId=api, RouteKey="$default", Target=f"integrations/{integration}")
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    request = urllib.request.Request(f"{emulator.url}/_aws/execute-api/{api}/$default/x")  # noqa: S310 loopback
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)  # noqa: S310 loopback
    with caught.value as error:
        assert error.code == 502
        assert b"boom" in error.read()


@holds("iam-open")
def test_strangers_may_do_anything(emulator: Emulator) -> None:
    """No user was made, no role was given a policy."""
    assert emulator.client("iam").list_users()["Users"] == []
    url, _ = kit.make_queue(emulator, kit.name())
    emulator.client("sqs").delete_queue(QueueUrl=url)


@holds("mapping-scale")
def test_a_mapping_runs_five_at_once(emulator: Emulator, sandbox: Sandbox) -> None:
    called = kit.name("fn")
    kit.make_function(emulator, called)
    url = sent_to(emulator, called, BatchSize=1)
    release = threading.Event()

    def hold(_event: Any) -> Answer:
        release.wait(10)
        return Answer()

    sandbox.answer(called, hold)
    for first in (0, 10):
        entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(first, first + 10)]
        emulator.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
    sandbox.wait(called, 5)
    time.sleep(0.5)
    assert len(sandbox.of(called)) == 5
    release.set()
    sandbox.wait(called, 20)


@holds("nested-properties")
def test_a_nested_unknown_property_is_taken(emulator: Emulator) -> None:
    stack = kit.name()
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Role": kit.ROLE,
            "Code": {"ZipFile": "def handler(event, context): return event\n"},
            "VpcConfig": {"SubnetIdentifiers": ["subnet-0123456789abcdef0"]},
        },
    }
    assert kit.deploy(emulator, stack, {"Fn": function})["StackStatus"] == "CREATE_COMPLETE"


@holds("queue-metrics-none")
def test_queues_have_no_metrics(emulator: Emulator) -> None:
    url, _ = kit.make_queue(emulator, kit.name())
    emulator.client("sqs").send_message(QueueUrl=url, MessageBody="x")
    assert emulator.client("cloudwatch").list_metrics(Namespace="AWS/SQS")["Metrics"] == []


@holds("recursion-unseen")
def test_a_function_that_wakes_itself_is_never_stopped(
    emulator: Emulator, sandbox: Sandbox
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html"""
    called = kit.name("fn")
    kit.make_function(emulator, called)
    url = sent_to(emulator, called)
    sqs = emulator.client("sqs")

    def again(event: Any) -> Answer:
        turn = int(event["Records"][0]["body"])
        if turn < 40:
            sqs.send_message(QueueUrl=url, MessageBody=str(turn + 1))
        return Answer()

    sandbox.answer(called, again)
    sqs.send_message(QueueUrl=url, MessageBody="1")
    assert len(sandbox.wait(called, 40)) == 40


@holds("runtime-management")
def test_runtime_management_cannot_be_read(emulator: Emulator) -> None:
    called = kit.name("fn")
    kit.make_function(emulator, called)
    with pytest.raises(ClientError):
        emulator.client("lambda").get_runtime_management_config(FunctionName=called)


@holds("schedule-dead-letters")
def test_a_schedule_without_its_target_drops_the_call(emulator: Emulator) -> None:
    called = kit.name("at")
    url, arn = kit.make_queue(emulator, called)
    due = int(time.time()) + 1
    emulator.client("scheduler").create_schedule(
        Name=called,
        ScheduleExpression=time.strftime("at(%Y-%m-%dT%H:%M:%S)", time.gmtime(due)),
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": f"arn:aws:lambda:eu-west-1:123456789012:function:{called}",
            "RoleArn": kit.ROLE,
            "DeadLetterConfig": {"Arn": arn},
            "RetryPolicy": {"MaximumRetryAttempts": 0},
        },
        ActionAfterCompletion="DELETE",
    )
    scheduler = emulator.client("scheduler")

    def fired() -> bool:
        names = [each["Name"] for each in scheduler.list_schedules()["Schedules"]]
        return called not in names

    kit.until(fired)
    got = emulator.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1)
    assert "Messages" not in got
